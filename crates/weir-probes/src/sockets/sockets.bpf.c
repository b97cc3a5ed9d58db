/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sockets probe: which process uses a socket. A note on the socket itself says who used it last, so that what
 * was accepted, inherited or passed on belongs to who uses it now; the note dies with the socket. User space hears
 * of a socket when its user changes, not with every packet.
 */
#include <weir/record.h>

/* What is known of a socket's user, and whether user space has heard of it. */
struct note {
	struct socket_owner owner;
	__u64 told; /* when, in jiffies, which cost nothing to read; 0: not yet */
	__u64 remote; /* a connection's other end: the end of one before may have passed unnoticed */
	__u32 life; /* socket_event.life, where its first use was left to be found */
	__u32 padding;
};

#include <weir/notes.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 21); /* twenty thousand events */
} events SEC(".maps");

/* What the ring had no room for. */
__u64 lost_events;

/* Two processes that take turns at one socket are told of ten times a second at most: 100 to 1000 are a second. */
#define TURN 100
/*
 * What is in use is told of again now and then, after 15 to 150 seconds: user space forgets what has no end to be told
 * of, such as UDP's sockets.
 */
#define RENEWAL 15000

/*
 * A use of a socket that user space knows of, and need not hear of again for 1 to 10 seconds. Only of UDP's sockets:
 * they are used for every packet, and it takes longer to find a note. Those of TCP have an end, after which the same
 * has to be told anew.
 */
struct known_use {
	__u64 socket;
	__u64 digest; /* of its ends, its user, and about when */
};

#define KNOWN_BITS 10
struct known_use known_uses[1 << KNOWN_BITS];

/*
 * The first use of a connection is left here for user space to find: most of those that are short are over when it
 * looks, and their end says all. One for each place of a note.
 */
struct left_use left_uses[LEFT_USES];
/* Where there is one that it has not found. */
__u8 are_left[LEFT_USES] __attribute__((aligned(8)));
/* Where stores are seen in the order in which they are made: nothing here could ask for that before Linux 5.12. */
const volatile __u8 can_leave = 1;

_Static_assert(LEFT_USES == 1 << PLACE_BITS, "one for each place");

static __always_inline bool tell(struct sock *sk, const struct note *note, __u8 change)
{
	struct socket_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		__sync_fetch_and_add(&lost_events, 1);
		return false;
	}
	if (!describe_socket(event, sk)) {
		bpf_ringbuf_discard(event, BPF_RB_NO_WAKEUP);
		return true;
	}
	event->owner = note->owner;
	event->change = change;
	event->life = note->life;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return true;
}

/*
 * Whether it could be left. One writes at a time: of two that use the socket first at the same moment one finds the
 * serial odd, or that it grew by more than its own. Where it ends meanwhile there is nothing to be found: who ends it
 * gives up the place first and looks here after that, and the additions keep both in this order.
 */
static __always_inline bool leave(struct sock *sk, struct note *note)
{
	__u32 number = place_number(sk);
	struct place *place = &places[number];
	struct left_use *left = &left_uses[number];
	__u64 serial = READ_ONCE(left->serial);
	bool is_whole;

	if (!can_leave || place->socket != (__u64)sk || note != &place->note || serial % 2)
		return false;
	__sync_fetch_and_add(&left->serial, 1);
	is_whole = READ_ONCE(left->serial) == serial + 1 && describe_socket(&left->event, sk);
	if (is_whole) {
		left->event.owner = note->owner;
		left->event.life = note->life = serial + 1;
		WRITE_ONCE(left->event.change, SOCKET_FOUND);
	}
	__sync_fetch_and_add(&left->serial, 1);
	if (!is_whole)
		return false;
	if (READ_ONCE(place->socket) == (__u64)sk)
		WRITE_ONCE(are_left[number], 1);
	else
		WRITE_ONCE(left->event.change, 0);
	return true;
}

/* There is nothing to be found of it any more. A byte says so, which is never seen half. */
static __always_inline void take_back(const struct sock *sk)
{
	struct left_use *left = &left_uses[place_number(sk)];

	if (READ_ONCE(left->event.socket) == (__u64)sk)
		WRITE_ONCE(left->event.change, 0);
}

static __always_inline __u64 remote_of(const struct sock *sk)
{
	return (__u64)sk->__sk_common.skc_daddr << 16 | (__u16)sk->__sk_common.skc_dport;
}

/* Its note, if it is of the internet. Most have one: nothing else is read of them then. */
static __always_inline struct note *note_of(struct sock *sk)
{
	struct note *note = find_note(sk);
	__u16 family;

	if (note)
		return note;
	family = sk->__sk_common.skc_family;
	if (family != FAMILY_IPV4 && family != FAMILY_IPV6)
		return NULL;
	return stored_note(sk, BPF_SK_STORAGE_GET_F_CREATE);
}

/* That of a connection, or of one who waits for them. */
static __always_inline struct note *known_note(struct sock *sk)
{
	struct note *note = find_note(sk);

	return note && note->remote == remote_of(sk) ? note : NULL;
}

static __always_inline struct note *begin_note(struct sock *sk)
{
	struct note *note = note_connection(sk);

	if (note)
		note->remote = remote_of(sk);
	return note;
}

static __always_inline bool tell_use(struct sock *sk, struct note *note, __u64 now)
{
	bool is_left = !note->told && is_connection(sk) && leave(sk, note);

	note->told = is_left || tell(sk, note, SOCKET_USED) ? now : 0;
	return note->told;
}

/* The running process uses the socket. Whether user space knows that by now. */
static __always_inline bool note_use(struct sock *sk, struct note *note, struct task_struct *task, __u64 now)
{
	bool is_same;

	if (!note)
		return false;
	is_same = note->owner.pid == (__u32)task->tgid && note->owner.program == (__u32)task->self_exec_id;
	if (note->told && now - note->told < (is_same ? RENEWAL : TURN))
		return is_same;
	describe_owner(&note->owner, task);
	return tell_use(sk, note, now);
}

/* All that a packet tells of the socket, and its namespace: another socket may come to be where one was. */
static __always_inline __u64 mix_addresses(const struct sock_common *common)
{
	__u64 mixed = common->skc_net.net->ns.inum, words[4];

	copy_ipv6(words, &common->skc_v6_rcv_saddr);
	copy_ipv6(words + 2, &common->skc_v6_daddr);
#pragma unroll
	for (int i = 0; i < 4; i++)
		mixed = (mixed ^ words[i]) * 0x9e3779b97f4a7c15ULL;
	return mixed ^ common->skc_rcv_saddr;
}

static __always_inline void use_datagrams(struct sock *sk, struct task_struct *task, __u64 now)
{
	const struct sock_common *common = &sk->__sk_common;
	__u64 ends = (__u64)common->skc_daddr << 32 | (__u32)common->skc_dport << 16 | common->skc_num;
	__u64 user = (__u64)(__u32)task->tgid << 32 | (__u32)task->self_exec_id;
	/* Whatever uses it has the same place: two that take turns do not hide each other. */
	struct known_use *known = &known_uses[ends * 0x9e3779b97f4a7c15ULL >> (64 - KNOWN_BITS)];
	__u64 digest = (ends ^ user * 0x9e3779b97f4a7c15ULL ^ now >> 10) * 0xbf58476d1ce4e5b9ULL;

	digest ^= mix_addresses(common);
	if (known->socket == (__u64)sk && known->digest == digest)
		return;
	if (!note_use(sk, note_of(sk), task, now))
		return;
	known->socket = (__u64)sk;
	known->digest = digest;
}

/*
 * Somebody reads what is left of a connection that was reset, perhaps before it was accepted. Its end has been told
 * of, and is told of once more, with who that is.
 */
static __always_inline void use_closed(struct sock *sk, struct task_struct *task, __u64 now)
{
	struct note *note = stored_note(sk, BPF_SK_STORAGE_GET_F_CREATE);

	if (!note || note->told)
		return;
	describe_owner(&note->owner, task);
	if (tell(sk, note, SOCKET_CLOSED))
		note->told = now;
}

static __always_inline void use_connection(struct sock *sk, struct task_struct *task, __u64 now)
{
	struct note *note = known_note(sk);

	if (!note && sk->__sk_common.skc_state == STATE_CLOSE)
		use_closed(sk, task, now);
	else
		note_use(sk, note ?: begin_note(sk), task, now);
}

static __always_inline void use(struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (!sk)
		return;
	if (sk->sk_protocol == PROTOCOL_UDP)
		use_datagrams(sk, task, bpf_jiffies64());
	else if (is_connection(sk))
		use_connection(sk, task, bpf_jiffies64());
	else
		note_use(sk, note_of(sk), task, bpf_jiffies64());
}

/* Linux 6.3: after every send and receive of a process. */
SEC("tp_btf/sock_send_length")
int weir_sent(__u64 *arguments)
{
	use((struct sock *)arguments[0]);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int weir_received(__u64 *arguments)
{
	use((struct sock *)arguments[0]);
	return 0;
}

/* The same before it: at the beginning of each. */
SEC("fentry/inet_sendmsg")
int weir_sends(__u64 *arguments)
{
	use(((struct socket *)arguments[0])->sk);
	return 0;
}

SEC("fentry/inet_recvmsg")
int weir_receives(__u64 *arguments)
{
	use(((struct socket *)arguments[0])->sk);
	return 0;
}

SEC("fentry/inet6_sendmsg")
int weir_sends6(__u64 *arguments)
{
	use(((struct socket *)arguments[0])->sk);
	return 0;
}

SEC("fentry/inet6_recvmsg")
int weir_receives6(__u64 *arguments)
{
	use(((struct socket *)arguments[0])->sk);
	return 0;
}

/* Who connects or listens does so by itself; what comes afterwards may happen in anybody's name. */
static __always_inline void begin(struct sock *sk, int state)
{
	struct note *note = begin_note(sk);

	if (!note)
		return;
	describe_owner(&note->owner, bpf_get_current_task_btf());
	if (state == STATE_LISTEN)
		tell(sk, note, SOCKET_LISTENS);
}

static __always_inline void established(struct sock *sk)
{
	struct note *note = known_note(sk);

	if (note)
		tell_use(sk, note, bpf_jiffies64());
}

static __always_inline void closed(struct sock *sk)
{
	struct note *note = known_note(sk);

	if (note)
		tell(sk, note, SOCKET_CLOSED);
	forget_connection(sk);
	take_back(sk);
}

/* Most changes say nothing of whose it is. */
SEC("tp_btf/inet_sock_set_state")
int weir_state(__u64 *arguments)
{
	struct sock *sk = (struct sock *)arguments[0];
	int after = arguments[2];

	if (after == STATE_SYN_SENT || after == STATE_LISTEN)
		begin(sk, after);
	else if (after == STATE_ESTABLISHED)
		established(sk);
	else if (after == STATE_CLOSE)
		closed(sk);
	return 0;
}

/* Sockets that were there before us. */
SEC("iter/task_file")
int weir_existing(struct bpf_iter__task_file *context)
{
	struct task_struct *task = context->task;
	struct file *file = context->file;
	struct socket_event event = {};
	struct socket *socket;
	__u8 state;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket || !socket->sk || !describe_socket(&event, socket->sk) || !event.local_port)
		return 0;
	state = socket->sk->__sk_common.skc_state;
	event.change = event.protocol == PROTOCOL_TCP && state == STATE_LISTEN ? SOCKET_LISTENS : SOCKET_USED;
	describe_owner(&event.owner, task);
	bpf_seq_write(context->meta->seq, &event, sizeof(event));
	return 0;
}

/* bpf_probe_read_kernel() is for GPL-compatible programs. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
