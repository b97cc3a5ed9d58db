/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What packets carry: for probes that hang on interfaces beside the flow probe, and copy the few payloads that concern
 * them. Whoever includes it says before how large its ring is (PAYLOAD_RING).
 */
#pragma once
#include "address.h"
#include "packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, PAYLOAD_RING);
} payloads SEC(".maps");

/* What the ring had no room for. */
__u64 lost_payloads;

#define IPV4_PLAIN 0x45 /* version 4, no options */

/* As much of UDP and TCP as is looked at. */
struct transport {
	__be16 source_port;
	__be16 destination_port;
	union {
		__be16 udp_length;
		__be32 sequence;
	};
	__be32 acknowledgement;
	__be16 offset_flags;
};

/* Where the payload of a packet lies. */
struct payload {
	__u32 offset;
	__u32 length;
};

static __always_inline bool has_ports(__u8 protocol)
{
	return protocol == PROTOCOL_UDP || protocol == PROTOCOL_TCP;
}

/* The addresses; where the transport header begins. False: it is no packet with ports, or a later fragment. */
static __always_inline bool read_network(struct __sk_buff *skb, struct payload_part *part, struct payload *rest)
{
	union {
		struct ipv4_header v4;
		struct ipv6_header v6;
	} ip;

	if (skb->protocol == bpf_htons(ETHERTYPE_IPV4)) {
		if (bpf_skb_load_bytes(skb, rest->offset, &ip.v4, sizeof(ip.v4)) ||
		    (ip.v4.fragment & bpf_htons(IPV4_OFFSET)))
			return false;
		map_ipv4(part->source, ip.v4.source);
		map_ipv4(part->destination, ip.v4.destination);
		part->protocol = ip.v4.protocol;
		rest->length = bpf_ntohs(ip.v4.total_length);
		/* 0 is a datagram over 64 KiB (BIG TCP). */
		if (!rest->length)
			rest->length = skb->len - rest->offset;
		rest->length -= (ip.v4.version_ihl & 0x0f) * 4;
		rest->offset += (ip.v4.version_ihl & 0x0f) * 4;
	} else {
		if (bpf_skb_load_bytes(skb, rest->offset, &ip.v6, sizeof(ip.v6)))
			return false;
		__builtin_memcpy(part->source, ip.v6.source, sizeof(part->source));
		__builtin_memcpy(part->destination, ip.v6.destination, sizeof(part->destination));
		part->protocol = ip.v6.next_header;
		rest->offset += sizeof(ip.v6);
		rest->length = bpf_ntohs(ip.v6.payload_length) ?: skb->len - rest->offset;
	}
	return has_ports(part->protocol);
}

/* The ports; where the payload begins. False: there is none. */
static __always_inline bool read_transport(struct __sk_buff *skb, struct payload_part *part, struct payload *rest)
{
	struct transport head = {};
	__u32 header = UDP_HEADER_LENGTH;

	if (bpf_skb_load_bytes(skb, rest->offset, &head, UDP_HEADER_LENGTH))
		return false;
	part->source_port = bpf_ntohs(head.source_port);
	part->destination_port = bpf_ntohs(head.destination_port);
	if (part->protocol == PROTOCOL_TCP) {
		if (bpf_skb_load_bytes(skb, rest->offset, &head, sizeof(struct tcp_start)))
			return false;
		part->sequence = bpf_ntohl(head.sequence);
		part->tcp_flags = TCP_FLAGS(bpf_ntohs(head.offset_flags));
		header = TCP_HEADER_LENGTH(bpf_ntohs(head.offset_flags));
	} else if (!skb->gso_size) {
		/* Of a fragment this is how long it is with all the others. */
		rest->length = bpf_ntohs(head.udp_length);
	} else {
		part->segment = skb->gso_size;
	}
	if (rest->length < header)
		return false;
	rest->length -= header;
	rest->offset += header;
	return true;
}

static __always_inline void read_place(struct __sk_buff *skb, struct payload_part *part)
{
	part->time = bpf_ktime_get_ns();
	part->ifindex = skb->ifindex;
	part->netns = BPF_CORE_READ((const struct sk_buff *)skb, dev, nd_net.net, ns.inum);
}

/* Room in the ring has a size that the verifier knows: a copy of this for each of four. */
static __always_inline void copy(struct __sk_buff *skb, const struct payload_part *part, __u32 offset, __u32 there,
				 const __u32 room)
{
	struct payload_part *told = bpf_ringbuf_reserve(&payloads, sizeof(*told) + room, 0);
	__u64 last = (__u64)there - 1;

	if (!told) {
		__sync_fetch_and_add(&lost_payloads, 1);
		return;
	}
	*told = *part;
	/*
	 * How many bytes less one: verifiers before Linux 6.2 do not learn from a comparison with 0 that there is at
	 * least one, and from this one test they learn both bounds.
	 */
	asm volatile("" : "+r"(last));
	if (last < room)
		bpf_skb_load_bytes(skb, offset, told + 1, last + 1);
	bpf_ringbuf_submit(told, BPF_RB_NO_WAKEUP);
}

/* A part whose place and ends are known, with as much of its payload as the longest room has. */
static __always_inline void tell(struct __sk_buff *skb, struct payload_part *part, const struct payload *payload)
{
	__u32 there = skb->len > payload->offset ? skb->len - payload->offset : 0;

	part->length = payload->length;
	if (there > payload->length)
		there = payload->length;
	if (there <= PAYLOAD_LEAST)
		copy(skb, part, payload->offset, there, PAYLOAD_LEAST);
	else if (there <= PAYLOAD_FEW)
		copy(skb, part, payload->offset, there, PAYLOAD_FEW);
	else if (there <= PAYLOAD_MANY)
		copy(skb, part, payload->offset, there, PAYLOAD_MANY);
	else
		copy(skb, part, payload->offset, there > PAYLOAD_MOST ? PAYLOAD_MOST : there, PAYLOAD_MOST);
}
