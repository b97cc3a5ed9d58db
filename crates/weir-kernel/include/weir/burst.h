/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The burst: where there are more flows than the CPU's caches hold, their packets wait for each other.
 *
 *   packet ─ hash ─► bucket ─ tag ─► burst: the packet, and where its entry is ─ sixteen of them ─► entries
 *
 * A packet that adds to an entry out of cache waits for memory, and all that comes after it does. Entries that are gone
 * for one right after the other are waited for together. The index is denser than the entries, and mostly in cache.
 *
 * Only what the tag tells apart can wait: of two flows of the same fingerprint in a bucket neither does. A packet of a
 * new flow that has another's tag leaves through the spill ring, and then that one does not wait any more either.
 */
#pragma once
#include "levels.h"

/* From so many of them on in this generation, packets wait; set by user space. */
const volatile __u32 many_flows = 0;

TABLE(burst_packets, burst_packet) /* parts * BURST */

/* Where a packet's flow is, as far as its tag says. */
struct whereabouts {
	__u32 number;
	__u32 tag;
};

static __always_inline bool has_many_flows(const struct part_state *part)
{
	return part->used >= many_flows;
}

/* Whether the flow has a tag, and its entry need not be seen now. */
static __always_inline bool locate(struct whereabouts *where, const struct packet *packet,
				   const struct part_state *part)
{
	__u64 h = hash(packet);
	__u32 number = part->first_bucket + ((__u32)h & bucket_mask);
	const struct flow_bucket *bucket = buckets_at(number);
	__u32 fingerprint = fingerprint_of(h), way = first_way(fingerprint), tag;

	if (!bucket)
		return false;
	for (int step = 0; step < BUCKET_WAYS; step++, way = (way + 1) & (BUCKET_WAYS - 1)) {
		tag = bucket->tags[way];
		if (!tag)
			break;
		if ((tag ^ fingerprint) & TAG_FINGERPRINT)
			continue;
		where->number = part->first_entry + (tag & TAG_ENTRY_MASK) - 1;
		where->tag = number * BUCKET_WAYS + way;
		return !(tag & TAG_WATCHED);
	}
	return false;
}

static __always_inline bool is_of(const struct burst_packet *packet, const struct flow_entry *entry)
{
	if (entry->addresses != packet->entry.addresses || entry->protocol != packet->entry.protocol ||
	    *(const __u64 *)&entry->source_port != *(const __u64 *)&packet->entry.source_port)
		return false;
	return !(entry->link & LINK_IPV6) || same_addresses(packet->number, &packet->addresses);
}

/* What came later may have been added already: not all packets wait. */
static __always_inline void add_entry(struct flow_entry *entry, const struct flow_entry *more)
{
	entry->packets += more->packets;
	entry->bytes += more->bytes;
	if ((__s32)(more->last - entry->last) > 0)
		entry->last = more->last;
	if ((__s32)(more->first - entry->first) < 0) {
		entry->first = more->first;
		entry->dscp = more->dscp;
	}
	*(flags_word *)&entry->tcp_flags |= *(const flags_word *)&more->tcp_flags & 0xffffff; /* but not the rate */
	entry->dscp_seen |= more->dscp_seen;
	if (more->min_ttl < entry->min_ttl)
		entry->min_ttl = more->min_ttl;
	if (more->max_ttl > entry->max_ttl)
		entry->max_ttl = more->max_ttl;
	if (more->min_length < entry->min_length)
		entry->min_length = more->min_length;
	if (more->max_length > entry->max_length)
		entry->max_length = more->max_length;
}

/* It is of another flow, or its flow has left meanwhile. */
static __noinline int leave_burst(const struct part_state *part, const struct burst_packet *packet)
{
	struct flow_bucket *bucket = buckets_at(packet->tag / BUCKET_WAYS);
	const struct flow_entry *entry = &packet->entry;

	if (bucket)
		bucket->tags[packet->tag % BUCKET_WAYS] |= TAG_WATCHED;
	if (!spill_entry(packet->epoch, 0, entry, &packet->addresses))
		count_lost(part, entry->point, entry->packets, entry->bytes);
	return 0;
}

static __noinline int end_burst(struct part_state *part)
{
	const struct burst_packet *packet;
	struct flow_entry *entry;

	for (int i = 0; i < BURST; i++) {
		packet = burst_packets_at(part->first_burst + i);
		entry = packet ? entries_at(packet->number) : NULL;
		if (!entry)
			break;
		if (likely(is_of(packet, entry)))
			add_entry(entry, &packet->entry);
		else
			leave_burst(part, packet);
	}
	part->burst = 0;
	return 0;
}

/* False: there is no room for it, which does not happen. */
static __always_inline bool join_burst(const struct packet *packet, struct part_state *part,
				       const struct whereabouts *where)
{
	struct burst_packet *place = burst_packets_at(part->first_burst + part->burst);

	if (!place)
		return false;
	start_entry(&place->entry, packet);
	if (packet->link & LINK_IPV6)
		place->addresses = packet->wide;
	place->number = where->number;
	place->tag = where->tag;
	place->epoch = packet->epoch;
	if (++part->burst >= BURST)
		end_burst(part);
	return true;
}
