/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* CO-RE: what the kernel keeps of a TCP connection, wherever the running one keeps it. */
#pragma once
#include "socket.h"

struct sock___tcp {
	struct socket *sk_socket;
	unsigned long sk_tsq_flags;
	atomic_t sk_drops;
	int sk_err;
	int sk_err_soft;
	int sk_sndbuf;
	int sk_wmem_queued;
	__u32 sk_ack_backlog;
	__u32 sk_max_ack_backlog;
} __attribute__((preserve_access_index));

struct request_sock_queue {
	atomic_t qlen;
} __attribute__((preserve_access_index));

struct inet_connection_sock {
	struct request_sock_queue icsk_accept_queue;
	__u8 icsk_retransmits;
	__u8 icsk_probes_out;
} __attribute__((preserve_access_index));

struct minmax_sample {
	__u32 v;
} __attribute__((preserve_access_index));

struct minmax {
	struct minmax_sample s[3];
} __attribute__((preserve_access_index));

struct tcp_sock {
	__u64 bytes_sent;
	__u64 bytes_acked;
	__u64 bytes_received;
	__u64 bytes_retrans;
	__u32 srtt_us;
	__u32 mdev_us;
	struct minmax rtt_min;
	__u32 data_segs_out;
	__u32 total_retrans;
	__u32 lost;
	__u32 reord_seen;
	__u32 rcv_ooopack;
	__u32 snd_cwnd;
	__u32 snd_ssthresh;
	__u32 mss_cache;
	__u32 rate_delivered;
	__u32 rate_interval_us;
	__u32 chrono_start;
	__u32 chrono_stat[3];
	__u8 chrono_type : 2;
	__u8 is_cwnd_limited : 1;
	__u32 snd_wnd;
	__u32 rcv_wnd;
	__u32 write_seq;
	__u32 snd_nxt;
	__u32 snd_una;
	__u32 rcv_nxt;
	__u32 copied_seq;
} __attribute__((preserve_access_index));

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
} __attribute__((preserve_access_index));

/* What it is that limits a sender: include/linux/tcp.h, enum tcp_chrono. */
#define CHRONO_BUSY 1
#define CHRONO_RECEIVE_WINDOW 2
#define CHRONO_SEND_BUFFER 3

#define IS_THROTTLED 1 /* TSQF_THROTTLED */

/* The time of one limit, with what has passed since it began to hold, if it still does. */
static __always_inline __u32 chrono(const struct tcp_sock *tp, __u32 which, __u32 running, __u32 since)
{
	return tp->chrono_stat[which - 1] + (running == which ? since : 0);
}

static __always_inline void copy_times(struct tcp_look *look, const struct tcp_sock *tp)
{
	__u32 running = BPF_CORE_READ_BITFIELD(tp, chrono_type);
	__u32 since = (__u32)bpf_jiffies64() - tp->chrono_start;

	look->busy = chrono(tp, CHRONO_BUSY, running, since);
	look->receive_window_limited = chrono(tp, CHRONO_RECEIVE_WINDOW, running, since);
	look->send_buffer_limited = chrono(tp, CHRONO_SEND_BUFFER, running, since);
	look->rtt = tp->srtt_us;
	look->rtt_deviation = tp->mdev_us;
	look->min_rtt = tp->rtt_min.s[0].v;
}

static __always_inline void copy_counts(struct tcp_look *look, const struct tcp_sock *tp)
{
	look->bytes_sent = tp->bytes_sent;
	look->bytes_acknowledged = tp->bytes_acked;
	look->bytes_received = tp->bytes_received;
	look->bytes_retransmitted = tp->bytes_retrans;
	look->segments_sent = tp->data_segs_out;
	look->segments_retransmitted = tp->total_retrans;
	look->segments_lost = tp->lost;
	look->reordered = tp->reord_seen;
	look->out_of_order = tp->rcv_ooopack;
	look->congestion_window = tp->snd_cwnd;
	look->slow_start_threshold = tp->snd_ssthresh;
	look->segment_size = tp->mss_cache;
	look->delivered = tp->rate_delivered;
	look->delivered_in = tp->rate_interval_us;
}

static __always_inline void copy_queues(struct tcp_look *look, const struct tcp_sock *tp)
{
	const struct sock___tcp *sk = (const struct sock___tcp *)tp;

	look->send_window = tp->snd_wnd;
	look->receive_window = tp->rcv_wnd;
	look->unsent = tp->write_seq - tp->snd_nxt;
	look->unacknowledged = tp->snd_nxt - tp->snd_una;
	look->unread = tp->rcv_nxt - tp->copied_seq;
	look->send_buffer = sk->sk_sndbuf;
	look->send_memory = sk->sk_wmem_queued;
}

static __always_inline void copy_accept_queue(struct tcp_look *look, const struct tcp_sock *tp)
{
	const struct sock___tcp *sk = (const struct sock___tcp *)tp;

	look->accept_queue = sk->sk_ack_backlog;
	look->accept_queue_room = sk->sk_max_ack_backlog;
	look->syn_queue = ((const struct inet_connection_sock *)tp)->icsk_accept_queue.qlen.counter;
	look->drops = sk->sk_drops.counter;
}

/*
 * All but `change` and what is noted. As with describe_owner(), `tp` is one
 * whose type the verifier knows. False: it is of neither family.
 */
static __always_inline bool describe_tcp(struct tcp_look *look, struct tcp_sock *tp)
{
	const struct inet_connection_sock *connection = (const struct inet_connection_sock *)tp;
	const struct sock___tcp *more = (const struct sock___tcp *)tp;
	struct sock *sk = (struct sock *)tp;

	if (!copy_addresses(look->local, look->remote, &sk->__sk_common))
		return false;
	look->socket = (__u64)tp;
	look->inode = 0;
	look->padding = 0;
	look->time = bpf_ktime_get_ns();
	look->netns = sk->__sk_common.skc_net.net->ns.inum;
	look->local_port = bpf_ntohs(((struct inet_sock *)tp)->inet_sport);
	look->remote_port = bpf_ntohs(sk->__sk_common.skc_dport);
	copy_times(look, tp);
	copy_counts(look, tp);
	copy_queues(look, tp);
	copy_accept_queue(look, tp);
	look->state = sk->__sk_common.skc_state;
	look->error = more->sk_err;
	/* What was heard of while it was asked for; later on it is forgotten with the next acknowledgement. */
	if (!look->error && look->state == STATE_SYN_SENT)
		look->error = more->sk_err_soft;
	look->retransmits = connection->icsk_retransmits;
	look->probes = connection->icsk_probes_out;
	look->marks = (more->sk_tsq_flags & IS_THROTTLED ? TCP_THROTTLED : 0) | (more->sk_socket ? 0 : TCP_UNHELD) |
		      (BPF_CORE_READ_BITFIELD(tp, is_cwnd_limited) ? TCP_WINDOW_LIMITED : 0);
	return true;
}
