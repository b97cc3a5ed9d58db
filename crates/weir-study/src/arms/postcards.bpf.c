/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One record per packet through a ring buffer, which user space reads meanwhile. */
#include "plain.h"

struct postcard {
	struct plain_key key;
	__u64 time;
	__u32 bytes;
	__u16 packets;
	__u16 tcp_flags;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} ring SEC(".maps");

__u32 sent; /* both wrap; only differences are read */
__u32 lost;

SEC("tcx/ingress")
int postcards(struct __sk_buff *skb)
{
	struct postcard *card;
	struct packet packet;

	read(skb, &packet);
	sent++;
	card = bpf_ringbuf_reserve(&ring, sizeof(*card), 0);
	if (!card) {
		lost++;
		return VERDICT_NEXT;
	}
	plain_key_of(&packet, &card->key);
	card->time = bpf_ktime_get_coarse_ns();
	card->bytes = packet.bytes;
	card->packets = packet.count;
	card->tcp_flags = packet.tcp_flags;
	bpf_ringbuf_submit(card, 0);
	return VERDICT_NEXT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
