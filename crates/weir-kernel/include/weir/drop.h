/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What there is to say of a packet where it is dropped. That may be anywhere in the kernel, long before its headers
 * were looked at or long after they were taken off, and the packet may be noise. CO-RE: each member wherever the
 * running kernel keeps it. What has a type that the verifier knows is read like any other memory; a probe read takes
 * ten times as long, and is for the packet itself.
 */
#pragma once
#include "packet.h"
#include "socket.h"

struct net_device___dropped {
	int ifindex;
	possible_net_t nd_net;
} __attribute__((preserve_access_index));

struct dst_entry {
	struct net_device___dropped *dev;
} __attribute__((preserve_access_index));

struct skb_shared_info___dropped {
	unsigned short gso_segs;
} __attribute__((preserve_access_index));

struct sk_buff___dropped {
	struct net_device___dropped *dev;
	struct sock *sk;
	unsigned long _skb_refdst;
	unsigned int len;
	int skb_iif;
	__be16 protocol;
	__u16 network_header;
	unsigned int tail; /* sk_buff_data_t on 64-bit: offsets from head */
	unsigned int end;
	unsigned char *head;
	unsigned char *data;
} __attribute__((preserve_access_index));

#define NOT_COUNTED (~1UL) /* what is an address in _skb_refdst */
#define LOOPBACK 1 /* the number of `lo`, in each network namespace */
#define IPV6_EXTENSIONS 4 /* that are looked behind */

/* Where the headers of a packet lie in its linear part. */
struct headers {
	const unsigned char *start;
	__u32 room;
};

static __always_inline bool load(void *to, __u32 size, struct headers from, __u32 offset)
{
	return offset + size <= from.room && !bpf_probe_read_kernel(to, size, from.start + offset);
}

static __always_inline void describe_transport(struct drop_key *key, struct headers from, __u32 offset)
{
	__u8 icmp[2];
	__be16 ports[2];

	switch (key->protocol) {
	case PROTOCOL_TCP:
	case PROTOCOL_UDP:
	case PROTOCOL_UDPLITE:
	case PROTOCOL_DCCP:
	case PROTOCOL_SCTP:
		if (!load(ports, sizeof(ports), from, offset))
			return;
		key->source_port = bpf_ntohs(ports[0]);
		key->destination_port = bpf_ntohs(ports[1]);
		break;
	case PROTOCOL_ICMP:
	case PROTOCOL_ICMPV6:
		if (!load(icmp, sizeof(icmp), from, offset))
			return;
		key->source_port = icmp[0];
		key->destination_port = icmp[1];
		break;
	default:
		return;
	}
	key->marks |= DROP_PORTS;
}

static __always_inline void describe_ipv4(struct drop_key *key, struct headers from)
{
	struct ipv4_header ip;

	if (!load(&ip, sizeof(ip), from, 0) || ip.version_ihl >> 4 != 4)
		return;
	map_ipv4(key->source, ip.source);
	map_ipv4(key->destination, ip.destination);
	key->protocol = ip.protocol;
	key->marks |= DROP_IP;
	if (!(bpf_ntohs(ip.fragment) & IPV4_OFFSET))
		describe_transport(key, from, (ip.version_ihl & 0x0f) * 4);
}

/* Behind the extension headers, as records have it; what is a later fragment has no ports. */
static __always_inline void describe_behind_extensions(struct drop_key *key, struct headers from)
{
	__u32 offset = sizeof(struct ipv6_header);
	__u8 extension[4];

#pragma unroll
	for (int i = 0; i < IPV6_EXTENSIONS; i++) {
		__u8 kind = key->protocol;

		if (kind != PROTOCOL_HOP_BY_HOP && kind != PROTOCOL_ROUTING && kind != PROTOCOL_FRAGMENT &&
		    kind != PROTOCOL_DESTINATION_OPTIONS)
			break;
		if (!load(extension, sizeof(extension), from, offset))
			return;
		key->protocol = extension[0];
		if (kind == PROTOCOL_FRAGMENT && ((extension[2] << 8 | extension[3]) & IPV6_OFFSET))
			return;
		offset += kind == PROTOCOL_FRAGMENT ? 8 : (extension[1] + 1) * 8;
	}
	describe_transport(key, from, offset);
}

static __always_inline void describe_ipv6(struct drop_key *key, struct headers from)
{
	struct ipv6_header ip;

	if (!load(&ip, sizeof(ip), from, 0) || bpf_ntohl(ip.version_class_label) >> 28 != 6)
		return;
	key->source[0] = ip.source[0];
	key->source[1] = ip.source[1];
	key->destination[0] = ip.destination[0];
	key->destination[1] = ip.destination[1];
	key->protocol = ip.next_header;
	key->marks |= DROP_IP;
	describe_behind_extensions(key, from);
}

/* The frame that an agent has run a program on is thrown away like any other. */
static __always_inline bool is_run_by_hand(const struct drop_key *key, struct sk_buff___dropped *skb)
{
	return key->ethertype == RUN_BY_HAND && !skb->skb_iif && skb->dev->ifindex == LOOPBACK;
}

/* False: it is no packet of a network, but a message between Unix or netlink sockets. */
static __always_inline bool describe_packet(struct drop_key *key, struct drop_count *more,
					    struct sk_buff___dropped *skb)
{
	const unsigned char *head = skb->head;
	__u32 network = skb->network_header, tail = skb->tail, data = skb->data - head;
	struct skb_shared_info___dropped *shared = (void *)(head + skb->end);
	__u16 segments = BPF_CORE_READ(shared, gso_segs);
	struct headers from;

	key->ethertype = bpf_ntohs(skb->protocol);
	if ((!key->ethertype && !network) || is_run_by_hand(key, skb))
		return false;
	/* Nobody has said yet where it begins. */
	if (!network || network > tail)
		network = data;
	from.start = head + network;
	from.room = network <= tail ? tail - network : 0;
	/* What has left TCP or UDP may not have a type yet. */
	if (key->ethertype == ETHERTYPE_IPV4 || !key->ethertype)
		describe_ipv4(key, from);
	if (key->ethertype == ETHERTYPE_IPV6 || (!key->ethertype && !key->marks))
		describe_ipv6(key, from);
	if (!key->ethertype && key->marks)
		key->ethertype =
			key->source[0] || (__u32)key->source[1] != 0xffff0000 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;
	more->packets = segments ? segments : 1;
	more->bytes = skb->len + data - network;
	return true;
}

/* `receiver` is the socket that it was for, where the kernel tells. */
static __always_inline void describe_place(struct drop_key *key, struct sk_buff___dropped *skb, struct sock *receiver)
{
	struct dst_entry *way = (void *)(skb->_skb_refdst & NOT_COUNTED);
	__u32 came_in = skb->skb_iif, at = skb->dev->ifindex;
	struct sock *sender = skb->sk;

	key->netns = skb->dev->nd_net.net->ns.inum;
	/* A packet for a socket has left its interface behind. */
	if (!key->netns && receiver)
		key->netns = receiver->__sk_common.skc_net.net->ns.inum;
	if (!key->netns && sender)
		key->netns = sender->__sk_common.skc_net.net->ns.inum;
	if (!key->netns && way)
		key->netns = BPF_CORE_READ(way, dev, nd_net.net, ns.inum);
	key->ifindex = at ? at : came_in;
	if (key->ifindex != came_in)
		key->marks |= DROP_OUTGOING;
}
