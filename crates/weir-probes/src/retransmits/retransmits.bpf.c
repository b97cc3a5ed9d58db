/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The retransmits probe: segments that TCP sends again. Nothing of it runs for any other. */
#include <weir/socket.h>

struct sk_buff___length {
	unsigned int len;
} __attribute__((preserve_access_index));

struct tcp_sock {
	__u32 total_retrans;
} __attribute__((preserve_access_index));

struct sock_common___port {
	__u16 skc_num;
} __attribute__((preserve_access_index));

struct request_sock {
	struct sock_common __req_common;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20); /* seven thousand events */
} retransmit_events SEC(".maps");

/* What the ring had no room for. */
__u64 lost_retransmit_events;

/* Who asks for a connection: sent again, its SYN is nobody's that runs then. The sockets probe tells of it later. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct socket_owner);
} callers SEC(".maps");

SEC("tp_btf/inet_sock_set_state")
int weir_caller(__u64 *arguments)
{
	struct sock *sk = (struct sock *)arguments[0];
	struct socket_owner *owner;

	if (arguments[2] != STATE_SYN_SENT)
		return 0;
	owner = bpf_sk_storage_get(&callers, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (owner)
		describe_owner(owner, bpf_get_current_task_btf());
	return 0;
}

static __always_inline struct retransmit_event *begin(void)
{
	struct retransmit_event *event = bpf_ringbuf_reserve(&retransmit_events, sizeof(*event), 0);

	if (!event) {
		__sync_fetch_and_add(&lost_retransmit_events, 1);
		return NULL;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->time = bpf_ktime_get_ns();
	return event;
}

SEC("tp_btf/tcp_retransmit_skb")
int weir_retransmit(__u64 *arguments)
{
	struct sock *sk = (struct sock *)arguments[0];
	struct sk_buff___length *skb = (void *)arguments[1];
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
	struct retransmit_event *event = begin();
	struct socket_owner *owner;

	if (!event)
		return 0;
	if (!describe_socket(&event->socket, sk)) {
		bpf_ringbuf_discard(event, BPF_RB_NO_WAKEUP);
		return 0;
	}
	event->state = sk->__sk_common.skc_state;
	event->what = event->state == STATE_SYN_SENT ? RETRANSMIT_SYN : RETRANSMIT_DATA;
	event->bytes = skb->len;
	owner = bpf_sk_storage_get(&callers, sk, NULL, 0);
	if (owner)
		event->socket.owner = *owner;
	if (tcp)
		event->total = tcp->total_retrans;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

/* Of a connection that has no socket of its own yet. */
SEC("tp_btf/tcp_retransmit_synack")
int weir_retransmit_synack(__u64 *arguments)
{
	struct request_sock *request = (struct request_sock *)arguments[1];
	struct retransmit_event *event = begin();

	if (!event)
		return 0;
	if (!describe_ends(&event->socket, &request->__req_common)) {
		bpf_ringbuf_discard(event, BPF_RB_NO_WAKEUP);
		return 0;
	}
	event->socket.local_port = BPF_CORE_READ((struct sock_common___port *)&request->__req_common, skc_num);
	event->socket.protocol = PROTOCOL_TCP;
	event->state = STATE_SYN_RECEIVED;
	event->what = RETRANSMIT_SYN_ACK;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

/* bpf_probe_read_kernel() is for GPL-compatible programs. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
