/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Selection by content (RFC 5475 section 6.2): a packet that is taken at one observation point is taken at all
 * of them, so that what is joined there are the same packets. In a build of its own: with it, the verifier of
 * Linux 6.1 takes the program and does not what it says.
 */
#pragma once
#include "packet.h"

const volatile __u64 draw_seed = 0;

static __always_inline __u64 mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 32;
}

/* From where the network header begins: at `network`, or, for 0, where the kernel says. */
static __always_inline void load_from(const struct __sk_buff *skb, __u32 network, __u32 offset, void *to, __u32 length)
{
	if (network)
		bpf_skb_load_bytes(skb, network + offset, to, length);
	else
		bpf_skb_load_bytes_relative(skb, offset, to, length, BPF_HDR_START_NET);
}

/* A number by what no hop changes: checksums and TTLs are left out. */
static __noinline __u32 draw(const struct __sk_buff *skb, const struct packet *packet, __u32 network)
{
	__u32 transport = sizeof(struct ipv6_header), body[4] = {};
	__u64 hash = mix(draw_seed, packet->addresses);
	struct {
		__u8 version_ihl;
		__u8 tos;
		__be16 length;
		__be16 id;
	} ipv4 = {};

	if (packet->link & LINK_IPV4) {
		load_from(skb, network, 0, &ipv4, sizeof(ipv4));
		transport = (ipv4.version_ihl & 0xf) * 4;
	}
	hash = mix(hash, (__u64)ipv4.id << 48 | (__u64)packet->tcp_flags << 32 | (__u32)packet->destination_port << 16 |
				 packet->source_port);
	/* TCP: both sequence numbers. UDP: length, payload. ICMP: id, sequence, payload. */
	load_from(skb, network, transport + 4, body, 2 * sizeof(body[0]));
	if (packet->protocol == PROTOCOL_UDP)
		body[0] &= bpf_htonl(0xffff0000);
	if (packet->protocol != PROTOCOL_TCP)
		load_from(skb, network, transport + 12, &body[2], 2 * sizeof(body[0]));
	hash = mix(hash, (__u64)body[1] << 32 | body[0]);
	hash = mix(hash, (__u64)body[3] << 32 | body[2]);
	hash = mix(hash, packet->protocol);
	return hash >> 32;
}
