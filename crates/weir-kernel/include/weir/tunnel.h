/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a tunnel's packet carries: VXLAN (RFC 7348), Geneve (8926), GRE (2784, 2890), IP in IP (2003, 4213). */
#pragma once
#include "packet.h"
#include "read_any.h"

#define PROTOCOL_IPIP 4
#define PROTOCOL_IPV6 41
#define PROTOCOL_GRE 47
#define PORT_VXLAN 4789
#define PORT_VXLAN_LINUX 8472 /* Linux's own default, from before IANA gave one */
#define PORT_GENEVE 6081

#define VXLAN_HAS_ID 0x08
#define VXLAN_HEADER_LENGTH 8
#define GENEVE_HEADER_LENGTH 8
#define GENEVE_OPTIONS 0x3f /* of the first byte: their length in words */
#define GRE_CHECKSUM 0x8000
#define GRE_KEY 0x2000
#define GRE_SEQUENCE 0x1000
#define GRE_VERSION 0x0007
#define ETHERTYPE_BRIDGED 0x6558 /* an Ethernet frame follows */

/* The first four bytes of each of these headers tell what is needed. */
struct tunnel_start {
	__be16 flags;
	__be16 type;
};

static __always_inline bool begin_after(struct beginning *inner, __u32 header, __u16 type)
{
	if (type != ETHERTYPE_BRIDGED && type != ETHERTYPE_IPV4 && type != ETHERTYPE_IPV6)
		return false;
	inner->offset += header;
	inner->type = type == ETHERTYPE_BRIDGED ? 0 : type;
#ifdef DRAW_BY_CONTENT
	inner->network = inner->offset + (type == ETHERTYPE_BRIDGED ? sizeof(struct ethernet_header) : 0);
#endif
	return true;
}

static __always_inline bool begin_in_gre(const struct tunnel_start *start, struct beginning *inner)
{
	__u16 flags = bpf_ntohs(start->flags);
	__u32 header = sizeof(*start);

	if (flags & GRE_VERSION)
		return false;
	if (flags & GRE_CHECKSUM)
		header += 4;
	if (flags & GRE_KEY)
		header += 4;
	if (flags & GRE_SEQUENCE)
		header += 4;
	return begin_after(inner, header, bpf_ntohs(start->type));
}

static __always_inline bool begin_in_udp(const struct packet *packet, const struct tunnel_start *start,
					 struct beginning *inner)
{
	__u16 flags = bpf_ntohs(start->flags);

	if (!(packet->link & LINK_PORTS))
		return false;
	switch (bpf_ntohs(packet->destination_port)) {
	case PORT_VXLAN:
	case PORT_VXLAN_LINUX:
		return flags >> 8 & VXLAN_HAS_ID ? begin_after(inner, VXLAN_HEADER_LENGTH, ETHERTYPE_BRIDGED) : false;
	case PORT_GENEVE:
		return flags >> 14 ? false :
				     begin_after(inner, GENEVE_HEADER_LENGTH + (flags >> 8 & GENEVE_OPTIONS) * 4,
						 bpf_ntohs(start->type));
	}
	return false;
}

/* Where in a tunnel's packet the packet within begins. False: it is no tunnel's, or in fragments. */
static __always_inline bool find_inner(const struct __sk_buff *skb, const struct packet *outer, struct beginning *inner)
{
	struct tunnel_start start;

	inner->offset = outer->header_length;
	if (!(outer->link & (LINK_IPV4 | LINK_IPV6)) || (outer->marks & FRAGMENT_SEEN))
		return false;
	if (outer->protocol == PROTOCOL_IPIP)
		return begin_after(inner, 0, ETHERTYPE_IPV4);
	if (outer->protocol == PROTOCOL_IPV6)
		return begin_after(inner, 0, ETHERTYPE_IPV6);
	if (outer->protocol != PROTOCOL_GRE && outer->protocol != PROTOCOL_UDP)
		return false;
	if (bpf_skb_load_bytes(skb, inner->offset, &start, sizeof(start)))
		return false;
	return outer->protocol == PROTOCOL_GRE ? begin_in_gre(&start, inner) : begin_in_udp(outer, &start, inner);
}

/* The outer headers are not the inner packet's bytes; each segment of a super-packet has a copy of them. */
static __always_inline void measure_inner(const struct __sk_buff *skb, struct packet *packet, __u32 outer)
{
	if (skb->vlan_present)
		outer += 4;
	packet->length = packet->length > outer ? packet->length - outer : 0;
	packet->bytes = packet->bytes > (__u64)packet->count * outer ? packet->bytes - (__u64)packet->count * outer : 0;
}
