/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The short way: Ethernet, IPv4 without options or IPv6 without extension headers, TCP or
 * UDP, whole, headers in the linear part. Straight-line loads from the packet; anything
 * unexpected leaves it to read_any().
 *
 * What finds its flow, with all of the transport header, and the rest are read one after the
 * other: what is not in registers yet while the flow is looked for need not be kept there.
 */
#pragma once
#include "packet.h"

/* TCP's flags, too: for those alone the header would have to be found within the frame once more. */
static __always_inline bool read_transport(struct packet *packet, const void *l4, const void *data_end, __u32 l4_offset)
{
	const struct tcp_start *tcp = l4;
	__u16 offset_flags;

	packet->tcp_flags = 0;
	if (packet->protocol == PROTOCOL_UDP) {
		if (l4 + UDP_HEADER_LENGTH > data_end)
			return false;
		packet->header_length = l4_offset + UDP_HEADER_LENGTH;
	} else if (packet->protocol == PROTOCOL_TCP) {
		if (l4 + sizeof(*tcp) > data_end)
			return false;
		offset_flags = bpf_ntohs(tcp->offset_flags);
		packet->header_length = l4_offset + TCP_HEADER_LENGTH(offset_flags);
		packet->tcp_flags = TCP_FLAGS(offset_flags);
	} else {
		return false;
	}
	packet->ports = tcp->ports;
	return true;
}

static __always_inline bool read_key_ipv4(struct packet *packet, const void *l3, const void *data_end)
{
	const struct ipv4_header *ip = l3;
	__u32 total;

	if (l3 + sizeof(*ip) > data_end || ip->version_ihl != 0x45 ||
	    (ip->fragment & bpf_htons(IPV4_MORE_FRAGMENTS | IPV4_OFFSET)))
		return false;
	total = bpf_ntohs(ip->total_length);
	/* A header cut short by the datagram's own length; or that is 0, of a datagram over 64 KiB (BIG TCP). */
	if (total < sizeof(*ip) + sizeof(struct tcp_start) + 6)
		if (ip->protocol != PROTOCOL_UDP || total < sizeof(*ip) + UDP_HEADER_LENGTH)
			return false;
	packet->addresses = *(const __u64 *)(l3 + __builtin_offsetof(struct ipv4_header, source));
	packet->link |= LINK_IPV4 | LINK_PORTS;
	packet->protocol = ip->protocol;
	return read_transport(packet, l3 + sizeof(*ip), data_end, sizeof(struct ethernet_header) + sizeof(*ip));
}

static __always_inline void read_rest_ipv4(struct packet *packet, const void *l3)
{
	const struct ipv4_header *ip = l3;

	packet->traffic_class = ip->tos;
	packet->ttl = ip->ttl;
}

static __always_inline bool read_key_ipv6(struct packet *packet, const void *l3, const void *data_end)
{
	const struct ipv6_header *ip = l3;
	__u32 payload;

	if (l3 + sizeof(*ip) > data_end || bpf_ntohl(ip->version_class_label) >> 28 != 6)
		return false;
	payload = bpf_ntohs(ip->payload_length);
	if (payload < sizeof(struct tcp_start) + 6)
		if (ip->next_header != PROTOCOL_UDP || payload < UDP_HEADER_LENGTH)
			return false;
	set_ipv6_addresses(packet, ip);
	packet->link |= LINK_IPV6 | LINK_PORTS;
	packet->protocol = ip->next_header;
	return read_transport(packet, l3 + sizeof(*ip), data_end, sizeof(struct ethernet_header) + sizeof(*ip));
}

static __always_inline void read_rest_ipv6(struct packet *packet, const void *l3)
{
	const struct ipv6_header *ip = l3;

	packet->traffic_class = bpf_ntohl(ip->version_class_label) >> 20;
	packet->ttl = ip->hop_limit;
}

/* False: not for this reader; `packet` then holds nothing of use. */
static __always_inline bool read_common(const struct __sk_buff *skb, struct packet *packet)
{
	const void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	const void *l3 = data + sizeof(struct ethernet_header);
	const struct ethernet_header *ethernet = data;

	if (l3 > data_end)
		return false;
	packet->link = metadata_vlan(skb);
	if (ethernet->type == bpf_htons(ETHERTYPE_IPV4) && read_key_ipv4(packet, l3, data_end))
		read_rest_ipv4(packet, l3);
	else if (ethernet->type == bpf_htons(ETHERTYPE_IPV6) && read_key_ipv6(packet, l3, data_end))
		read_rest_ipv6(packet, l3);
	else
		return false;
	packet->marks = syn_marks(packet->tcp_flags);
	return true;
}
