/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One record per packet through a buffer that user space reads meanwhile. */
#include "plain.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} ring SEC(".maps");

/* User space opens a buffer for every CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
} events SEC(".maps");

static __always_inline int post(struct __sk_buff *skb, __u64 flags)
{
	struct postcard *card;
	struct packet packet;

	read(skb, &packet);
	card = bpf_ringbuf_reserve(&ring, sizeof(*card), 0);
	if (!card) {
		lose();
		return VERDICT_NEXT;
	}
	plain_write(card, &packet);
	bpf_ringbuf_submit(card, flags);
	return VERDICT_NEXT;
}

/* The kernel wakes the reader when it has caught up and sleeps. */
SEC("tcx/ingress")
int ringbuf(struct __sk_buff *skb)
{
	return post(skb, 0);
}

/* A wake-up for every record. */
SEC("tcx/ingress")
int ringbuf_wakeup(struct __sk_buff *skb)
{
	return post(skb, BPF_RB_FORCE_WAKEUP);
}

SEC("tcx/ingress")
int perfbuf(struct __sk_buff *skb)
{
	struct postcard card;
	struct packet packet;

	read(skb, &packet);
	plain_write(&card, &packet);
	if (bpf_perf_event_output(skb, &events, BPF_F_CURRENT_CPU, &card, sizeof(card)))
		lose();
	return VERDICT_NEXT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
