/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which packets are counted. An ordered list of rules, compiled by user space into rows; what
 * a packet's key says in one dimension leads to the set of rows that it fits, and the first
 * row that is in the sets of all dimensions decides. So a packet costs the same whichever
 * rule it meets, and rules that look at one dimension cost nothing in the others.
 *
 * Each generation has rules of its own, written by user space while nobody reads them: they
 * change with the epoch, whole, and every packet of a generation has met the same ones.
 */
#pragma once
#include "packet.h"

/* False only where it is measured what asking for rules costs. */
const volatile bool rules = true;

const volatile __u32 points = 1; /* observation points */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct rule_head);
} rule_heads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* those of both generations */
	__type(key, __u32);
	__type(value, struct rule_block);
} rule_blocks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* those of both generations */
	__type(key, __u32);
	__type(value, struct rule_set);
} rule_sets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* generations * points */
	__type(key, __u32);
	__type(value, struct rule_point);
} rule_points SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2 * RULE_ROWS);
	__type(key, __u32);
	__type(value, struct rule_action);
} rule_actions SEC(".maps");

enum judgement {
	JUDGED_COUNTED = 0,
	JUDGED_FILTERED = 1,
	JUDGED_SAMPLED_OUT = 2,
};

#define TRIE_DEPTH 16 /* bytes of an IPv6 address */

/* Families in the network dimension, and what the two numbers of the transport dimension are. */
#define NETWORK_OTHER 0
#define NETWORK_IPV4 4
#define NETWORK_IPV6 6
#define TRANSPORT_NONE 0
#define TRANSPORT_PORTS 1
#define TRANSPORT_ICMP 2

/*
 * The set that a value leads to; its first byte is the highest one of `high`. User space makes every way end. Not
 * static: the verifier looks at it once then, and not for each of the hundreds of ways that lead to it.
 */
__noinline __u32 walk(__u32 block, __u64 high, __u64 low)
{
	struct rule_block *found;
	__u32 next;

	for (int i = 0; i < TRIE_DEPTH; i++) {
		found = bpf_map_lookup_elem(&rule_blocks, &block);
		if (!found)
			return 0;
		next = found->next[high >> 56];
		if (!(next & RULE_BLOCK))
			return next;
		block = next & ~RULE_BLOCK;
		high = high << 8 | low >> 56;
		low <<= 8;
	}
	return 0;
}

static __always_inline __u64 transport_value(const struct packet *packet, __u16 number)
{
	if (!(packet->link & LINK_PORTS))
		return (__u64)TRANSPORT_NONE << 56;
	if (packet->protocol == PROTOCOL_ICMP || packet->protocol == PROTOCOL_ICMPV6)
		return (__u64)TRANSPORT_ICMP << 56 | (__u64)number << 40;
	return (__u64)TRANSPORT_PORTS << 56 | (__u64)bpf_ntohs(number) << 40;
}

static __always_inline __u64 network_value(const struct packet *packet)
{
	if (packet->link & LINK_IPV4)
		return (__u64)NETWORK_IPV4 << 56 | (__u64)packet->protocol << 48;
	if (packet->link & LINK_IPV6)
		return (__u64)NETWORK_IPV6 << 56 | (__u64)packet->protocol << 48;
	return (__u64)NETWORK_OTHER << 56 | (__u64)bpf_ntohs(packet->source_port) << 40;
}

/* Numbers of the sets that a packet fits, one per dimension; 0 where no row looks. */
struct fits {
	__u32 source;
	__u32 destination;
	__u32 first; /* source port or ICMP type */
	__u32 second; /* destination port or ICMP code */
	__u32 network;
	__u32 vlan;
	__u32 point;
};

static __always_inline __u32 fit_address(const struct packet *packet, const struct rule_head *head, __u32 v4,
					 const __u64 *v6)
{
	if (packet->link & LINK_IPV4)
		return walk(head->address4, (__u64)bpf_ntohl(v4) << 32, 0);
	if (packet->link & LINK_IPV6)
		return walk(head->address6, bpf_be64_to_cpu(v6[0]), bpf_be64_to_cpu(v6[1]));
	return head->no_address;
}

static __always_inline void fit_all(const struct packet *packet, __u32 generation, const struct rule_head *head,
				    struct fits *fits)
{
	__u32 index = generation * points + packet->point, looks = head->dimensions;
	const struct rule_point *point;

	if (looks & RULE_SOURCE)
		fits->source = fit_address(packet, head, packet->addresses, packet->wide.source);
	if (looks & RULE_DESTINATION)
		fits->destination = fit_address(packet, head, packet->addresses >> 32, packet->wide.destination) + 1;
	if (looks & RULE_FIRST)
		fits->first = walk(head->transport, transport_value(packet, packet->source_port), 0);
	if (looks & RULE_SECOND)
		fits->second = walk(head->transport, transport_value(packet, packet->destination_port), 0) + 1;
	if (looks & RULE_NETWORK)
		fits->network = walk(head->network, network_value(packet), 0);
	if (looks & RULE_VLAN)
		fits->vlan = walk(head->vlan, (__u64)(packet->link & (LINK_VLAN | LINK_VLAN_ID)) << 48, 0);
	if (looks & RULE_POINT) {
		point = bpf_map_lookup_elem(&rule_points, &index);
		if (point)
			fits->point = point->set;
	}
}

/* How many bits are below the lowest one that is set: a population count, as clang has no such builtin for BPF. */
static __always_inline __u32 lowest_bit(__u64 word)
{
	word = (word & -word) - 1;
	word -= word >> 1 & 0x5555555555555555ULL;
	word = (word & 0x3333333333333333ULL) + (word >> 2 & 0x3333333333333333ULL);
	word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return word * 0x0101010101010101ULL >> 56;
}

/* The first row that is in every set, or RULE_ROWS. */
static __always_inline __u32 first_row(const struct fits *fits, __u32 words)
{
	const struct rule_set *source = bpf_map_lookup_elem(&rule_sets, &fits->source);
	const struct rule_set *destination = bpf_map_lookup_elem(&rule_sets, &fits->destination);
	const struct rule_set *first = bpf_map_lookup_elem(&rule_sets, &fits->first);
	const struct rule_set *second = bpf_map_lookup_elem(&rule_sets, &fits->second);
	const struct rule_set *network = bpf_map_lookup_elem(&rule_sets, &fits->network);
	const struct rule_set *vlan = bpf_map_lookup_elem(&rule_sets, &fits->vlan);
	const struct rule_set *point = bpf_map_lookup_elem(&rule_sets, &fits->point);
	__u64 rows;

	if (!source || !destination || !first || !second || !network || !vlan || !point)
		return RULE_ROWS;
	for (__u32 i = 0; i < RULE_WORDS; i++) {
		if (i >= words)
			break;
		rows = source->rows[i] & destination->rows[i] & first->rows[i] & second->rows[i] & network->rows[i] &
		       vlan->rows[i] & point->rows[i];
		if (rows)
			return i * 64 + lowest_bit(rows);
	}
	return RULE_ROWS;
}

#ifdef DRAW_BY_CONTENT
#include "draw.h"
#endif

/* What the rules say of a packet; its sampling rate is noted in it. What no rule is about is counted. */
static __noinline int judge(struct packet *packet, __u32 words)
{
	__u32 generation = packet->epoch & 1, row;
	const struct rule_action *action;
	const struct rule_head *head;
	struct fits fits = {};

	head = bpf_map_lookup_elem(&rule_heads, &generation);
	if (!head)
		return JUDGED_COUNTED;
	fit_all(packet, generation, head, &fits);
	row = first_row(&fits, words);
	if (row >= RULE_ROWS)
		return JUDGED_COUNTED;
	row += generation * RULE_ROWS;
	action = bpf_map_lookup_elem(&rule_actions, &row);
	if (!action || action->one_in == 1)
		return JUDGED_COUNTED;
	if (!action->one_in)
		return JUDGED_FILTERED;
	packet->rate = action->rate;
#ifdef DRAW_BY_CONTENT
	return (__u64)packet->drawn * action->one_in >> 32 ? JUDGED_SAMPLED_OUT : JUDGED_COUNTED;
#else
	return (__u64)bpf_get_prandom_u32() * action->one_in >> 32 ? JUDGED_SAMPLED_OUT : JUDGED_COUNTED;
#endif
}
