/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The TCP probe: how connections fare, from what TCP keeps of them anyway. An iterator looks at those that there are;
 * each is looked at once more when its socket closes. Nothing runs for a segment.
 */
#include <weir/tcp.h>

/* What TCP does not keep. */
struct note {
	__u64 began; /* when the connection was asked for, in nanoseconds */
	__u32 handshake; /* microseconds */
	__u32 pid; /* who asked for it; 0: the other end did */
	__u64 was_reset;
};

#include <weir/notes.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22); /* 19 000 connections */
} ends SEC(".maps");

/* What the ring had no room for. */
__u64 lost_ends;

static __always_inline void copy_note(struct tcp_look *look, const struct note *note)
{
	look->handshake = note ? note->handshake : 0;
	look->pid = note ? note->pid : 0;
	if (look->pid)
		look->marks |= TCP_OPENED;
	if (note && note->was_reset)
		look->marks |= TCP_WAS_RESET;
}

static __always_inline struct tcp_look *reserve(void)
{
	struct tcp_look *look = bpf_ringbuf_reserve(&ends, sizeof(*look), 0);

	if (!look)
		__sync_fetch_and_add(&lost_ends, 1);
	return look;
}

static __always_inline void tell(struct sock *sk, __u8 change)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct tcp_look *look;

	if (!tp)
		return;
	look = reserve();
	if (!look)
		return;
	if (!describe_tcp(look, tp)) {
		bpf_ringbuf_discard(look, BPF_RB_NO_WAKEUP);
		return;
	}
	copy_note(look, find_note(sk));
	look->change = change;
	bpf_ringbuf_submit(look, BPF_RB_NO_WAKEUP);
}

/*
 * How long the handshake took: what TCP measured, from the segment that asked to the one that answered. It does not
 * where the one that asked was sent again: then since the first time.
 */
static __always_inline void established(struct sock *sk, bool is_opener)
{
	struct note *note = is_opener ? find_note(sk) : note_connection(sk);
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (!note || !tp)
		return;
	note->handshake = tp->srtt_us >> 3;
	if (is_opener && (tp->total_retrans || !note->handshake))
		note->handshake = (bpf_ktime_get_ns() - note->began) / 1000;
}

static __always_inline void asked(struct sock *sk)
{
	struct note *note = note_connection(sk);

	if (!note)
		return;
	note->began = bpf_ktime_get_ns();
	note->pid = bpf_get_current_pid_tgid() >> 32;
}

static __always_inline void ended(struct sock *sk)
{
	tell(sk, TCP_ENDED);
	forget_connection(sk);
}

/* A socket that goes to TIME_WAIT or is waited for by nobody goes through CLOSE, too, with all its counts. */
SEC("tp_btf/inet_sock_set_state")
int weir_tcp_state(__u64 *arguments)
{
	struct sock *sk = (struct sock *)arguments[0];
	int before = arguments[1], after = arguments[2];

	if (after == STATE_SYN_SENT)
		asked(sk);
	else if (after == STATE_ESTABLISHED)
		established(sk, before == STATE_SYN_SENT);
	else if (after == STATE_CLOSE && before != STATE_CLOSE && before != STATE_LISTEN)
		ended(sk);
	return 0;
}

/* One arrives that ends the connection. Rare, and so worth a note of its own. */
SEC("tp_btf/tcp_receive_reset")
int weir_tcp_was_reset(__u64 *arguments)
{
	struct sock *sk = (struct sock *)arguments[0];
	struct note *note = find_note(sk) ?: note_connection(sk);

	if (note)
		note->was_reset = 1;
	return 0;
}

struct sk_buff___tcp {
	__u16 network_header;
	__u16 transport_header;
} __attribute__((preserve_access_index));

struct ipv4_addresses {
	__u8 before[12];
	__be32 source;
	__be32 destination;
};

struct ipv6_addresses {
	__u8 before[8];
	__u64 source[2];
	__u64 destination[2];
};

/* Its own end is where the packet went to. */
static __always_inline bool copy_ends_of_packet(struct tcp_look *look, struct sk_buff *skb)
{
	const struct sk_buff___tcp *where = (const struct sk_buff___tcp *)skb;
	const unsigned char *network = skb->head + where->network_header;
	const unsigned char *transport = skb->head + where->transport_header;
	struct ipv6_addresses ipv6;
	struct ipv4_addresses ipv4;
	__be16 ports[2];

	if (bpf_probe_read_kernel(ports, sizeof(ports), transport) ||
	    bpf_probe_read_kernel(&ipv4, sizeof(ipv4), network))
		return false;
	look->remote_port = bpf_ntohs(ports[0]);
	look->local_port = bpf_ntohs(ports[1]);
	if (ipv4.before[0] >> 4 == 4) {
		map_ipv4(look->remote, ipv4.source);
		map_ipv4(look->local, ipv4.destination);
		return true;
	}
	if (bpf_probe_read_kernel(&ipv6, sizeof(ipv6), network))
		return false;
	look->remote[0] = ipv6.source[0];
	look->remote[1] = ipv6.source[1];
	look->local[0] = ipv6.destination[0];
	look->local[1] = ipv6.destination[1];
	return true;
}

/* `tp` is the socket that listens there, if one does. */
static __always_inline void refuse(struct sk_buff *skb, struct tcp_sock *tp)
{
	struct tcp_look *look = reserve();

	if (!look)
		return;
	__builtin_memset(look, 0, sizeof(*look));
	if (!copy_ends_of_packet(look, skb)) {
		bpf_ringbuf_discard(look, BPF_RB_NO_WAKEUP);
		return;
	}
	look->time = bpf_ktime_get_ns();
	look->change = TCP_REFUSED;
	/* The compiler would remember that it is one; the verifier wants to see it. */
	asm volatile("" : "+r"(tp));
	if (tp) {
		look->netns = ((struct sock *)tp)->__sk_common.skc_net.net->ns.inum;
		look->state = STATE_LISTEN;
		copy_accept_queue(look, tp);
	} else {
		look->netns = skb->dev->nd_net.net->ns.inum;
	}
	bpf_ringbuf_submit(look, BPF_RB_NO_WAKEUP);
}

/* A reset leaves the host: rare. The socket may be none, or one that only waits for its time to be over. */
SEC("tp_btf/tcp_send_reset")
int weir_tcp_reset(__u64 *arguments)
{
	struct sock *sk = (struct sock *)arguments[0];
	struct sk_buff *skb = (struct sk_buff *)arguments[1];
	struct tcp_sock *tp = sk ? bpf_skc_to_tcp_sock(sk) : NULL;

	if (tp && sk->__sk_common.skc_state != STATE_LISTEN)
		tell(sk, TCP_RESET_SENT);
	else if (skb)
		refuse(skb, tp);
	return 0;
}

struct socket_alloc {
	struct socket socket;
	struct inode vfs_inode;
} __attribute__((preserve_access_index));

static __always_inline __u32 inode_of(const struct tcp_sock *tp)
{
	struct socket *socket = ((const struct sock___tcp *)tp)->sk_socket;

	return socket ? BPF_CORE_READ((struct socket_alloc *)socket, vfs_inode.i_ino) : 0;
}

/* All of a network namespace. Connections whose handshake is under way, or that are over, are not sockets. */
SEC("iter/tcp")
int weir_tcp_now(struct bpf_iter__tcp *context)
{
	struct sock_common *common = context->sk_common;
	struct tcp_sock *tp;
	struct tcp_look look = {};

	if (!common)
		return 0;
	tp = bpf_skc_to_tcp_sock(common);
	if (!tp || !describe_tcp(&look, tp))
		return 0;
	copy_note(&look, find_note(common));
	look.inode = inode_of(tp);
	look.change = TCP_LOOKED;
	bpf_seq_write(context->meta->seq, &look, sizeof(look));
	return 0;
}

/* bpf_probe_read_kernel() is for GPL-compatible programs. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
