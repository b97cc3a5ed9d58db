/*
 * clients start ADDRESS PORT PROCESSES EACH PERIOD: starts that many processes, one every PERIOD microseconds, each of
 * which makes EACH connections one after the other, says its number over each, and is gone.
 */
#include <arpa/inet.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int talk(char **arguments)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(atoi(arguments[3])) };
	char number[16];
	int length = snprintf(number, sizeof(number), "%d", getpid());

	inet_pton(AF_INET, arguments[2], &to.sin_addr);
	for (int left = atoi(arguments[4]); left > 0; left--) {
		int talker = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(talker, (struct sockaddr *)&to, sizeof(to)) || write(talker, number, length) != length)
			return 1;
		close(talker);
	}
	return 0;
}

int main(int count, char **arguments)
{
	struct timespec next;

	if (count == 6) /* "talk", its address and port, EACH, and its ordinal */
		return arguments[1][0] == 't' ? talk(arguments) : 2;
	if (count != 7)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (int ordinal = 0; ordinal < atoi(arguments[4]); ordinal++) {
		char text[16];
		char *talker[] = { arguments[0], "talk", arguments[2], arguments[3], arguments[5], text, NULL };

		snprintf(text, sizeof(text), "%d", ordinal);
		if (posix_spawn(NULL, arguments[0], NULL, NULL, talker, NULL))
			return 1;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		next.tv_nsec += atol(arguments[6]) * 1000;
		next.tv_sec += next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	while (wait(NULL) > 0)
		;
	return 0;
}
