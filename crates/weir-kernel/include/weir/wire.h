/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From socket buffers to wire packets. An skb may stand for many packets (GSO on the way
 * out, GRO on the way in); on the wire each carries a copy of the headers.
 */
#pragma once
#include "packet.h"

#define VLAN_TAG_LENGTH 4

/* include/linux/skbuff.h; the first two have kept their values since 2.6, the last since 4.18. */
#define SKB_GSO_TCPV4 (1 << 0)
#define SKB_GSO_TCPV6 (1 << 4)
#define SKB_GSO_UDP_L4 (1 << 17)

/*
 * Length of the headers that each segment of a tunnelled super-packet repeats: all of them,
 * up to the inner transport header. The same sum as the kernel's qdisc_pkt_len_init().
 */
static __noinline __u32 tunnelled_header_length(struct __sk_buff *ctx, __u32 outer)
{
	struct sk_buff *skb = (void *)ctx;
	struct skb_shared_info *shared;
	unsigned char *head, *data;
	__u32 offset, gso_type;
	__u16 offset_flags = 0;

	if (!BPF_CORE_READ_BITFIELD_PROBED(skb, encapsulation))
		return outer;
	head = BPF_CORE_READ(skb, head);
	data = BPF_CORE_READ(skb, data);
	shared = (void *)(head + BPF_CORE_READ(skb, end));
	gso_type = BPF_CORE_READ(shared, gso_type);
	offset = head + BPF_CORE_READ(skb, inner_transport_header) - data;
	if (gso_type & (SKB_GSO_TCPV4 | SKB_GSO_TCPV6)) {
		if (bpf_skb_load_bytes(ctx, offset + 12, &offset_flags, sizeof(offset_flags)))
			return outer;
		return offset + TCP_HEADER_LENGTH(bpf_ntohs(offset_flags));
	}
	return gso_type & SKB_GSO_UDP_L4 ? offset + UDP_HEADER_LENGTH : offset;
}

static __noinline int measure_super_packet(struct __sk_buff *skb, struct packet *packet)
{
	__u32 header = packet->header_length, segment = skb->gso_size, count = skb->gso_segs;

	if (packet->protocol != PROTOCOL_TCP)
		header = tunnelled_header_length(skb, header);
	if (header >= skb->len)
		return 0; /* malformed: it will not be segmented either */
	/* Packets that a guest or a tun writer hands in do not say how many they are. */
	if (!count)
		count = (skb->len - header + segment - 1) / segment;
	if (count < 2)
		return 0;
	packet->count = count;
	packet->bytes += (__u64)(count - 1) * (header + (skb->vlan_present ? VLAN_TAG_LENGTH : 0));
	if (header + segment < skb->len) /* not so for SCTP, whose gso_size is GSO_BY_FRAGS */
		packet->length -= skb->len - header - segment;
	return 0;
}

/* One that is not a super-packet. */
static __always_inline void measure_packet(const struct __sk_buff *skb, struct packet *packet, __u32 tag_length)
{
	packet->count = 1;
	packet->length = skb->len + tag_length;
	packet->bytes = packet->length;
}

static __always_inline void measure(struct __sk_buff *skb, struct packet *packet)
{
	measure_packet(skb, packet, skb->vlan_present ? VLAN_TAG_LENGTH : 0);
	if (unlikely(skb->gso_size))
		measure_super_packet(skb, packet);
}
