/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The long way: every packet there is. Reads with bpf_skb_load_bytes(), so that it does not
 * matter where in a non-linear skb a header lies, and never fails: what it cannot read
 * becomes a flow by protocol or, failing that, by ethertype.
 */
#pragma once
#include "packet.h"

#define MAX_VLAN_TAGS 3
#define MAX_EXTENSION_HEADERS 8

/* Fragments are rare enough for a map that the kernel keeps in order by itself. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct fragment_key);
	__type(value, struct fragment_origin);
} fragments SEC(".maps");

const volatile __u32 fragment_timeout = 0; /* in ticks; set by user space, as is the map's size */

/* Where the reader stands. `end`: one past the last byte that belongs to the datagram. */
struct cursor {
	__u32 offset;
	__u32 end;
	__u16 type; /* ethertype, then protocol */
	bool later_fragment;
	bool fragment;
	__u8 fragment_protocol;
	__u32 fragment_id;
};

static __always_inline bool load(const struct __sk_buff *skb, const struct cursor *at, void *to, __u32 length)
{
	return at->offset + length <= at->end && !bpf_skb_load_bytes(skb, at->offset, to, length);
}

static __always_inline bool is_vlan(__u16 type)
{
	return type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ || type == ETHERTYPE_QINQ_OLD;
}

static __always_inline void read_ethernet(const struct __sk_buff *skb, struct cursor *at, struct packet *packet)
{
	struct vlan_header vlan;
	__be16 type;

	at->type = 0;
	at->offset += 2 * 6; /* both addresses */
	if (!load(skb, at, &type, sizeof(type))) {
		at->offset = at->end;
		return;
	}
	at->offset += sizeof(type);
	at->type = bpf_ntohs(type);
	for (int i = 0; i < MAX_VLAN_TAGS && is_vlan(at->type); i++) {
		if (!load(skb, at, &vlan, sizeof(vlan)))
			break;
		if (!(packet->link & LINK_VLAN))
			packet->link |= LINK_VLAN | (bpf_ntohs(vlan.tci) & LINK_VLAN_ID);
		at->offset += sizeof(vlan);
		at->type = bpf_ntohs(vlan.type);
	}
	if (at->type < ETHERTYPE_MIN)
		at->type = ETHERTYPE_802_2;
}

static __always_inline bool read_ipv4(const struct __sk_buff *skb, struct cursor *at, struct packet *packet)
{
	struct ipv4_header ip;
	__u32 header, total, end;
	__u16 fragment;

	if (!load(skb, at, &ip, sizeof(ip)) || ip.version_ihl >> 4 != 4)
		return false;
	header = (ip.version_ihl & 0xf) * 4;
	if (header < sizeof(ip) || at->offset + header > at->end)
		return false;
	total = bpf_ntohs(ip.total_length);
	end = at->offset + total;
	if (total && end < at->end)
		at->end = end; /* what follows is padding */
	at->offset += header;
	fragment = bpf_ntohs(ip.fragment);
	at->later_fragment = fragment & IPV4_OFFSET;
	at->fragment = fragment & (IPV4_OFFSET | IPV4_MORE_FRAGMENTS);
	at->fragment_id = ip.id;
	at->fragment_protocol = ip.protocol;
	at->type = ip.protocol;
	packet->addresses = (__u64)ip.destination << 32 | ip.source;
	packet->link |= LINK_IPV4;
	packet->traffic_class = ip.tos;
	packet->ttl = ip.ttl;
	return true;
}

static __always_inline bool read_ipv6(const struct __sk_buff *skb, struct cursor *at, struct packet *packet)
{
	struct ipv6_header ip;
	__u32 version_class, payload, end;

	if (!load(skb, at, &ip, sizeof(ip)))
		return false;
	version_class = bpf_ntohl(ip.version_class_label);
	if (version_class >> 28 != 6)
		return false;
	payload = bpf_ntohs(ip.payload_length);
	at->offset += sizeof(ip);
	end = at->offset + payload;
	if (payload && end < at->end)
		at->end = end; /* 0 is a jumbogram (RFC 2675): the skb's length counts */
	at->type = ip.next_header;
	set_ipv6_addresses(packet, &ip);
	packet->link |= LINK_IPV6;
	packet->traffic_class = version_class >> 20;
	packet->ttl = ip.hop_limit;
	return true;
}

/* RFC 8200 section 4; AH (RFC 4302) may follow an IPv4 header as well. False: this is no extension header. */
static __always_inline bool skip_extension_header(const struct __sk_buff *skb, struct cursor *at, bool ipv6)
{
	struct {
		__u8 next;
		__u8 length;
		__be16 offset; /* of a fragment */
		__be32 id;
	} header;
	__u32 size;

	if (at->type != PROTOCOL_AH) {
		if (!ipv6)
			return false;
		if (at->type != PROTOCOL_HOP_BY_HOP && at->type != PROTOCOL_ROUTING &&
		    at->type != PROTOCOL_DESTINATION_OPTIONS && at->type != PROTOCOL_FRAGMENT)
			return false;
	}
	if (!load(skb, at, &header, sizeof(header)))
		return false;
	if (at->type == PROTOCOL_FRAGMENT) {
		at->later_fragment = header.offset & bpf_htons(IPV6_OFFSET);
		at->fragment = header.offset & bpf_htons(IPV6_OFFSET | IPV6_MORE_FRAGMENTS);
		at->fragment_id = header.id;
		at->fragment_protocol = header.next;
		size = sizeof(header);
	} else if (at->type == PROTOCOL_AH) {
		size = (header.length + 2) * 4;
	} else {
		size = (header.length + 1) * 8;
	}
	if (at->offset + size > at->end)
		return false;
	at->offset += size;
	at->type = header.next;
	return true;
}

static __always_inline void read_ports(const struct __sk_buff *skb, struct cursor *at, struct packet *packet)
{
	struct tcp_start start;
	__u8 icmp[2];
	__u16 offset_flags;

	switch (at->type) {
	case PROTOCOL_TCP:
		if (load(skb, at, &start, sizeof(start))) {
			offset_flags = bpf_ntohs(start.offset_flags);
			packet->tcp_flags = TCP_FLAGS(offset_flags);
			packet->marks |= syn_marks(packet->tcp_flags);
			packet->header_length = at->offset + TCP_HEADER_LENGTH(offset_flags);
			break;
		}
		/* fallthrough: the ports may still be whole */
	case PROTOCOL_UDP:
	case PROTOCOL_UDPLITE:
	case PROTOCOL_SCTP:
	case PROTOCOL_DCCP:
		if (!load(skb, at, &start, 2 * sizeof(__be16)))
			return;
		packet->header_length = at->offset + UDP_HEADER_LENGTH;
		break;
	case PROTOCOL_ICMP:
	case PROTOCOL_ICMPV6:
		if (!load(skb, at, icmp, sizeof(icmp)))
			return;
		start.source_port = icmp[0];
		start.destination_port = icmp[1];
		break;
	default:
		return;
	}
	packet->source_port = start.source_port;
	packet->destination_port = start.destination_port;
	packet->link |= LINK_PORTS;
}

/* The first fragment leaves behind what only it tells, the later ones pick it up. */
static __always_inline void join_fragment(const struct cursor *at, struct packet *packet)
{
	struct fragment_key key = {
		.source = { packet->wide.source[0], packet->wide.source[1] },
		.destination = { packet->wide.destination[0], packet->wide.destination[1] },
		.id = at->fragment_id,
		.point = packet->point,
		.protocol = at->fragment_protocol,
	};
	struct fragment_origin *first, origin = {
		.source_port = packet->source_port,
		.destination_port = packet->destination_port,
		.seen = packet->now,
		.protocol = packet->protocol,
	};

	if (packet->link & LINK_IPV4)
		key.source[0] = packet->addresses;
	packet->marks |= FRAGMENT_SEEN;
	if (!at->later_fragment) {
		if (packet->link & LINK_PORTS)
			bpf_map_update_elem(&fragments, &key, &origin, BPF_ANY);
		return;
	}
	first = bpf_map_lookup_elem(&fragments, &key);
	if (first && packet->now - first->seen <= fragment_timeout) {
		packet->protocol = first->protocol;
		packet->source_port = first->source_port;
		packet->destination_port = first->destination_port;
		packet->link |= LINK_PORTS;
	} else {
		packet->marks |= FRAGMENT_ORPHAN;
	}
}

static __always_inline void read_by_ethertype(struct packet *packet, __u16 type)
{
	packet->link &= LINK_VLAN | LINK_VLAN_ID;
	packet->addresses = 0;
	packet->source_port = bpf_htons(type);
}

/* Where reading begins: the frame's own start, or behind the header of a tunnel. */
struct beginning {
	__u32 offset;
#ifdef DRAW_BY_CONTENT
	__u32 network; /* of the network header; 0: where the kernel says */
#endif
	__u16 type; /* ethertype; 0: an Ethernet header tells */
};

static __noinline int read_any(const struct __sk_buff *skb, struct packet *packet, const struct beginning *from)
{
	struct cursor at = { .offset = opaque_zero(skb->len) + from->offset, .end = skb->len, .type = from->type };
	bool ipv6;

	__builtin_memset(&packet->wide, 0, sizeof(packet->wide));
	packet->addresses = 0;
	packet->source_port = 0;
	packet->destination_port = 0;
	packet->link = from->offset ? 0 : metadata_vlan(skb);
	packet->protocol = 0;
	packet->traffic_class = 0;
	packet->tcp_flags = 0;
	packet->marks = 0;
	packet->ttl = 0;

	if (!at.type)
		read_ethernet(skb, &at, packet);
	packet->header_length = at.offset;

	ipv6 = at.type == ETHERTYPE_IPV6;
	if (ipv6 ? !read_ipv6(skb, &at, packet) : at.type != ETHERTYPE_IPV4 || !read_ipv4(skb, &at, packet)) {
		read_by_ethertype(packet, at.type);
		return 0;
	}
	for (int i = 0; i < MAX_EXTENSION_HEADERS && !at.later_fragment; i++)
		if (!skip_extension_header(skb, &at, ipv6))
			break;
	packet->protocol = at.type;
	packet->header_length = at.offset;
	if (!at.later_fragment)
		read_ports(skb, &at, packet);
	if (at.fragment)
		join_fragment(&at, packet);
	return 0;
}
