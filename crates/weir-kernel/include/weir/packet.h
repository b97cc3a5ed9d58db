/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What one packet says of itself. Two readers fill it: read_common() for the packets that
 * make up almost all traffic, read_any() for every other one. Where both can read a packet
 * they agree (a property test holds them to it).
 */
#pragma once
#include "record.h"

/*
 * Held in registers as long as no function that is called gets a pointer to it; see observe_known().
 */
struct packet {
	__u64 addresses; /* as in flow_entry */
	union {
		struct {
			__be16 source_port;
			__be16 destination_port;
		};
		__u32 ports; /* as they lie in TCP and UDP */
	};
	__u16 link; /* as in flow_entry */
	__u8 protocol;
	__u8 traffic_class; /* DSCP and ECN */
	__u16 tcp_flags;
	__u8 marks; /* as in flow_entry */
	__u8 rate; /* as in flow_entry */
	__u8 ttl;
	__u8 egress; /* it leaves; set on the long way only */
	__u16 point;
	__u32 header_length; /* from the link layer to the end of the transport header */
	__u32 count; /* wire packets */
	__u64 bytes; /* wire bytes */
	__u32 length; /* of the longest of the wire packets */
	__u32 now; /* low half of ticks(), see clock.h */
	__u32 epoch; /* the generation that counts it */
	__u32 cpu;
#ifdef DRAW_BY_CONTENT
	__u32 drawn; /* a number for the rules to sample by */
#endif
	__u64 parent; /* digest of the flow whose tunnel it came in; 0: none */
	struct flow_addresses wide; /* IPv6 only */
};

#define ETHERTYPE_802_2 0x0004 /* the kernel's ETH_P_802_2: the frame has a length, not a type */
#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_QINQ 0x88a8
#define ETHERTYPE_QINQ_OLD 0x9100
#define ETHERTYPE_MIN 0x0600

#define PROTOCOL_HOP_BY_HOP 0
#define PROTOCOL_ICMP 1
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define PROTOCOL_DCCP 33
#define PROTOCOL_ROUTING 43
#define PROTOCOL_FRAGMENT 44
#define PROTOCOL_AH 51
#define PROTOCOL_ICMPV6 58
#define PROTOCOL_DESTINATION_OPTIONS 60
#define PROTOCOL_SCTP 132
#define PROTOCOL_UDPLITE 136

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_OFFSET 0x1fff
#define IPV6_MORE_FRAGMENTS 0x0001
#define IPV6_OFFSET 0xfff8

struct ethernet_header {
	__u8 destination[6];
	__u8 source[6];
	__be16 type;
};

struct vlan_header {
	__be16 tci;
	__be16 type;
};

struct ipv4_header {
	__u8 version_ihl;
	__u8 tos;
	__be16 total_length;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__sum16 check;
	__be32 source;
	__be32 destination;
};

_Static_assert(__builtin_offsetof(struct ipv4_header, destination) ==
		       __builtin_offsetof(struct ipv4_header, source) + 4,
	       "both are read at once");

struct ipv6_header {
	__be32 version_class_label;
	__be16 payload_length;
	__u8 next_header;
	__u8 hop_limit;
	__u64 source[2]; /* the bytes as they are: two loads, where the kernel's four words make four */
	__u64 destination[2];
};

/* As much of a TCP header as is looked at: up to and with the flags. */
struct tcp_start {
	union {
		struct {
			__be16 source_port;
			__be16 destination_port;
		};
		__u32 ports;
	};
	__be32 sequence;
	__be32 acknowledgement;
	__be16 offset_flags;
};

#define TCP_HEADER_LENGTH(offset_flags) (((offset_flags) >> 12) * 4)
#define TCP_FLAGS(offset_flags) (0x0fff & (offset_flags))
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10
#define UDP_HEADER_LENGTH 8

static __always_inline __u8 syn_marks(__u16 tcp_flags)
{
	if (!(tcp_flags & TCP_SYN))
		return 0;
	return tcp_flags & TCP_ACK ? SYN_ACK_SEEN : SYN_SEEN;
}

/*
 * Not a key, only its digest: both addresses are compared in full when it matches. What the CPU can multiply at the
 * same time does not wait for another product.
 */
static __always_inline __u64 digest_addresses(const struct flow_addresses *wide)
{
	__u64 source = wide->source[0] * 0x9e3779b97f4a7c15ULL + wide->source[1] * 0xbf58476d1ce4e5b9ULL;
	__u64 destination = wide->destination[0] * 0x94d049bb133111ebULL + wide->destination[1] * 0xd6e8feb86659fd93ULL;
	__u64 digest = (source ^ (source >> 32)) * 0x9e3779b97f4a7c15ULL + (destination ^ (destination >> 32));

	return digest ^ (digest >> 32);
}

static __always_inline void set_ipv6_addresses(struct packet *packet, const struct ipv6_header *ip)
{
	packet->wide.source[0] = ip->source[0];
	packet->wide.source[1] = ip->source[1];
	packet->wide.destination[0] = ip->destination[0];
	packet->wide.destination[1] = ip->destination[1];
	packet->addresses = digest_addresses(&packet->wide);
}

/* A tag that the device or the kernel has already taken out of the frame is the outer one. */
static __always_inline __u16 metadata_vlan(const struct __sk_buff *skb)
{
	return skb->vlan_present ? LINK_VLAN | (skb->vlan_tci & LINK_VLAN_ID) : 0;
}
