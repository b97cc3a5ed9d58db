/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The calls probe: what processes ask the kernel for (programs, ports, connections), and what becomes of it. Each
 * program is loaded only while somebody wants to hear of its call.
 */
#include <weir/socket.h>

struct files_struct {
	struct fdtable *fdt;
} __attribute__((preserve_access_index));

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
} __attribute__((preserve_access_index));

struct task_struct___files {
	struct files_struct *files;
} __attribute__((preserve_access_index));

struct sock___error {
	int sk_err;
} __attribute__((preserve_access_index));

/* include/uapi/asm-generic/errno.h */
#define EISCONN 106
#define EALREADY 114
#define EINPROGRESS 115

/* What a tracepoint of a system call begins with (include/trace/events/syscalls.h). */
struct call_begins {
	__u64 common;
	__u64 number;
	__u64 arguments[6];
};

struct call_ends {
	__u64 common;
	__u64 number;
	__s64 result;
};

/* struct sockaddr_in6; that of IPv4 is its beginning, with the address in the place of the flow label. */
struct address {
	__u16 family;
	__be16 port;
	__be32 ipv4;
	struct in6_addr ipv6;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 21); /* fifteen thousand events */
} call_events SEC(".maps");

/* What the ring, or the table of calls, had no room for. */
__u64 lost_call_events;

/* A call of bind(2) or connect(2) on its way. */
struct call {
	__u64 start;
	__u32 file; /* its number in the process */
	__u32 is_under_way; /* TCP has begun with it, and will tell its end */
	struct address address; /* what was asked for */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64); /* the thread */
	__type(value, struct call);
} calls SEC(".maps");

/* A connection that was asked for. */
struct attempt {
	__u64 start;
	struct socket_owner owner;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct attempt);
} attempts SEC(".maps");

static __always_inline struct call_event *begin(__u32 call)
{
	struct call_event *event = bpf_ringbuf_reserve(&call_events, sizeof(*event), 0);

	if (!event) {
		__sync_fetch_and_add(&lost_call_events, 1);
		return NULL;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->time = bpf_ktime_get_ns();
	event->call = call;
	return event;
}

static __always_inline void end(struct call_event *event)
{
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

SEC("tp_btf/sched_process_exec")
int weir_exec(void *context __attribute__((unused)))
{
	struct call_event *event = begin(CALL_EXEC);

	if (!event)
		return 0;
	describe_owner(&event->socket.owner, bpf_get_current_task_btf());
	end(event);
	return 0;
}

/* The socket that a number of the running process stands for, if it stands for one. */
static __always_inline struct sock *socket_of(__u32 number)
{
	struct task_struct___files *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **place = BPF_CORE_READ(table, fd), *file = NULL;
	struct socket *socket;

	if (number >= BPF_CORE_READ(table, max_fds))
		return NULL;
	if (bpf_probe_read_kernel(&file, sizeof(file), place + number) || !file)
		return NULL;
	socket = socket_of_file(file);
	return socket ? BPF_CORE_READ(socket, sk) : NULL;
}

/* describe_socket() for a socket that the verifier does not know: each part is a probe read. */
static __always_inline bool describe_unknown(struct socket_event *event, struct sock *sk)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	if (family == FAMILY_IPV4) {
		map_ipv4(event->local, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
		map_ipv4(event->remote, BPF_CORE_READ(sk, __sk_common.skc_daddr));
	} else if (family == FAMILY_IPV6) {
		bpf_core_read(event->local, sizeof(event->local), &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_core_read(event->remote, sizeof(event->remote), &sk->__sk_common.skc_v6_daddr);
	} else {
		return false;
	}
	event->socket = (__u64)sk;
	event->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	event->local_port = bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
	event->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	event->protocol = BPF_CORE_READ(sk, sk_protocol);
	event->is_raw = BPF_CORE_READ(sk, sk_type) == TYPE_RAW;
	return true;
}

/* Of a socket that the verifier does not know, by the running process; nothing if it is not of the internet. */
static __always_inline struct call_event *begin_of(__u32 call, struct sock *sk)
{
	struct call_event *event = begin(call);

	if (!event)
		return NULL;
	if (!describe_unknown(&event->socket, sk)) {
		bpf_ringbuf_discard(event, BPF_RB_NO_WAKEUP);
		return NULL;
	}
	describe_owner(&event->socket.owner, bpf_get_current_task_btf());
	return event;
}

/* bind(2) and connect(2) have the same arguments. */
static __always_inline void begin_call(struct call_begins *context)
{
	__u64 thread = bpf_get_current_pid_tgid(), length = context->arguments[2];
	struct call call = { .start = bpf_ktime_get_ns(), .file = context->arguments[0] };

	if (length > sizeof(call.address))
		length = sizeof(call.address);
	if (bpf_probe_read_user(&call.address, length, (void *)context->arguments[1]))
		return;
	if (call.address.family != FAMILY_IPV4 && call.address.family != FAMILY_IPV6)
		return;
	if (bpf_map_update_elem(&calls, &thread, &call, BPF_ANY))
		__sync_fetch_and_add(&lost_call_events, 1);
}

/* What was asked for, of one that was refused. */
static __always_inline void put_address(__u64 *to, const struct address *address)
{
	if (address->family == FAMILY_IPV4)
		map_ipv4(to, address->ipv4);
	else
		__builtin_memcpy(to, &address->ipv6, sizeof(address->ipv6));
}

SEC("tp/syscalls/sys_enter_bind")
int weir_bind_begins(struct call_begins *context)
{
	begin_call(context);
	return 0;
}

static __always_inline void tell_bind(const struct call *call, __s64 result)
{
	struct call_event *event;
	struct sock *sk = socket_of(call->file);

	if (!sk)
		return;
	event = begin_of(CALL_BIND, sk);
	if (!event)
		return;
	if (result) {
		put_address(event->socket.local, &call->address);
		event->socket.local_port = bpf_ntohs(call->address.port);
	}
	event->error = -result;
	event->latency = event->time - call->start;
	end(event);
}

SEC("tp/syscalls/sys_exit_bind")
int weir_bind_ends(struct call_ends *context)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct call *call = bpf_map_lookup_elem(&calls, &thread);

	if (!call)
		return 0;
	tell_bind(call, context->result);
	bpf_map_delete_elem(&calls, &thread);
	return 0;
}

SEC("tp/syscalls/sys_enter_connect")
int weir_connect_begins(struct call_begins *context)
{
	begin_call(context);
	return 0;
}

/* What was refused before TCP began with it: there is no way, no address, no permission. */
static __always_inline void tell_refusal(const struct call *call, __s64 result)
{
	struct sock *sk = socket_of(call->file);
	struct call_event *event;

	if (!sk || BPF_CORE_READ(sk, sk_protocol) != PROTOCOL_TCP)
		return;
	/* An attempt that is going on is none that begins. */
	if (result == -EINPROGRESS || result == -EALREADY || result == -EISCONN)
		return;
	event = begin_of(CALL_CONNECT, sk);
	if (!event)
		return;
	put_address(event->socket.remote, &call->address);
	event->socket.remote_port = bpf_ntohs(call->address.port);
	event->error = -result;
	event->latency = event->time - call->start;
	end(event);
}

SEC("tp/syscalls/sys_exit_connect")
int weir_connect_ends(struct call_ends *context)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct call *call = bpf_map_lookup_elem(&calls, &thread);

	if (!call)
		return 0;
	if (context->result < 0 && !call->is_under_way)
		tell_refusal(call, context->result);
	bpf_map_delete_elem(&calls, &thread);
	return 0;
}

static __always_inline void begin_attempt(struct sock *sk)
{
	struct attempt *attempt = bpf_sk_storage_get(&attempts, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	__u64 thread = bpf_get_current_pid_tgid();
	struct call *call = bpf_map_lookup_elem(&calls, &thread);

	if (call)
		call->is_under_way = 1;
	if (!attempt) {
		__sync_fetch_and_add(&lost_call_events, 1);
		return;
	}
	attempt->start = bpf_ktime_get_ns();
	describe_owner(&attempt->owner, bpf_get_current_task_btf());
}

static __always_inline void end_attempt(struct sock *sk, __u32 error)
{
	struct attempt *attempt = bpf_sk_storage_get(&attempts, sk, NULL, 0);
	struct call_event *event;

	if (!attempt)
		return;
	event = begin(CALL_CONNECT);
	if (!event)
		return;
	if (!describe_socket(&event->socket, sk)) {
		bpf_ringbuf_discard(event, BPF_RB_NO_WAKEUP);
		return;
	}
	event->socket.owner = attempt->owner;
	event->latency = event->time - attempt->start;
	event->error = error;
	end(event);
}

/* With io_uring, without waiting, and in whoever's context the answer comes: TCP's states tell. */
SEC("tp_btf/inet_sock_set_state")
int weir_attempt(__u64 *arguments)
{
	struct sock *sk = (struct sock *)arguments[0];
	int before = arguments[1], after = arguments[2];
	__u32 error;

	if (after == STATE_SYN_SENT) {
		begin_attempt(sk);
	} else if (before == STATE_SYN_SENT && after == STATE_ESTABLISHED) {
		end_attempt(sk, 0);
	} else if (before == STATE_SYN_SENT && after == STATE_CLOSE) {
		error = ((struct sock___error *)sk)->sk_err;
		end_attempt(sk, error ? error : GIVEN_UP);
	}
	return 0;
}

static __always_inline void tell_accept(__s64 result)
{
	struct call_event *event;
	struct sock *sk;

	if (result < 0)
		return;
	sk = socket_of(result);
	if (!sk || BPF_CORE_READ(sk, sk_protocol) != PROTOCOL_TCP)
		return;
	event = begin_of(CALL_ACCEPT, sk);
	if (event)
		end(event);
}

SEC("tp/syscalls/sys_exit_accept")
int weir_accept(struct call_ends *context)
{
	tell_accept(context->result);
	return 0;
}

SEC("tp/syscalls/sys_exit_accept4")
int weir_accept4(struct call_ends *context)
{
	tell_accept(context->result);
	return 0;
}

/* bpf_probe_read_kernel() is for GPL-compatible programs. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
