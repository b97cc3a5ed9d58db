/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow hash: per generation and CPU an index of buckets and a dense run of entries.
 *
 *   key ─ hash ─► bucket: 16 tags in one cache line ─ tag ─► entry: key and counters in one line
 *
 * Entries are handed out one after the other, so the flows of a burst lie side by side, few
 * pages are touched, and user space reads exactly what was used. When a bucket or the entries
 * run out, the next in turn leaves through the spill ring with all it has counted so far.
 */
#pragma once
#include "ledger.h"
#include "spill.h"

const volatile __u32 entries_per_cpu = 1;
const volatile __u32 bucket_mask = 0; /* buckets per CPU, a power of two, less one */
const volatile __u64 hash_seed = 0;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* generations * cpus * (bucket_mask + 1) */
	__type(key, __u32);
	__type(value, struct flow_bucket);
} buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* generations * cpus * entries_per_cpu */
	__type(key, __u32);
	__type(value, struct flow_entry);
} entries SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* as many as entries */
	__type(key, __u32);
	__type(value, struct flow_addresses);
} addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* generations * cpus */
	__type(key, __u32);
	__type(value, struct part_state);
} parts SEC(".maps");

static __always_inline struct part_state *part_of(__u32 epoch, __u32 cpu)
{
	__u32 index = (epoch & 1) * cpus + cpu;

	return cpu < cpus ? bpf_map_lookup_elem(&parts, &index) : NULL;
}

/* The place of one packet in the flow hash: whose part it is, and where that begins. */
struct place {
	__u32 epoch;
	__u32 cpu;
	struct part_state *part;
	__u32 first_entry;
	struct flow_bucket *bucket;
	__u32 tag; /* fingerprint, entry bits zero */
};

/* The key's second word: ports, point and link lie side by side. */
static __always_inline __u64 second_word(const struct packet *packet)
{
	return (__u64)packet->link << 48 | (__u64)packet->point << 32 | (__u32)packet->destination_port << 16 |
	       packet->source_port;
}

static __always_inline __u64 hash(const struct packet *packet)
{
	__u64 h = (packet->addresses ^ hash_seed) * 0x9e3779b97f4a7c15ULL;

	h = (h ^ (h >> 32) ^ second_word(packet)) * 0xbf58476d1ce4e5b9ULL;
	h = (h ^ (h >> 29) ^ packet->protocol) * 0x94d049bb133111ebULL;
	return h ^ (h >> 32);
}

static __always_inline bool same_flow(const struct flow_entry *entry, const struct packet *packet)
{
	return entry->addresses == packet->addresses && *(const __u64 *)&entry->source_port == second_word(packet) &&
	       entry->protocol == packet->protocol;
}

static __always_inline bool same_addresses(__u32 number, const struct packet *packet)
{
	const struct flow_addresses *wide = bpf_map_lookup_elem(&addresses, &number);

	return wide && wide->source[0] == packet->wide.source[0] && wide->source[1] == packet->wide.source[1] &&
	       wide->destination[0] == packet->wide.destination[0] &&
	       wide->destination[1] == packet->wide.destination[1];
}

static __always_inline __u16 flags_of(const struct packet *packet)
{
	__u16 flags = packet->tcp_flags;

	if (packet->link & (LINK_IPV4 | LINK_IPV6))
		flags |= 1 << (ECN_SEEN_SHIFT + (packet->traffic_class & 3));
	return flags;
}

static __always_inline void start_entry(struct flow_entry *entry, const struct packet *packet)
{
	entry->addresses = packet->addresses;
	*(__u64 *)&entry->source_port = second_word(packet);
	entry->protocol = packet->protocol;
	entry->dscp = packet->traffic_class >> 2;
	entry->min_ttl = packet->ttl;
	entry->max_ttl = packet->ttl;
	entry->tcp_flags = flags_of(packet);
	entry->fragments = packet->fragments;
	entry->packets = packet->count;
	entry->bytes = packet->bytes;
	entry->first = packet->now;
	entry->last = packet->now;
	entry->min_length = packet->length;
	entry->max_length = packet->length;
	entry->dscp_seen = 1ULL << (packet->traffic_class >> 2);
}

static __always_inline void add_packet(struct flow_entry *entry, const struct packet *packet)
{
	entry->packets += packet->count;
	entry->bytes += packet->bytes;
	entry->last = packet->now;
	entry->tcp_flags |= flags_of(packet);
	entry->fragments |= packet->fragments;
	entry->dscp_seen |= 1ULL << (packet->traffic_class >> 2);
	if (packet->ttl < entry->min_ttl)
		entry->min_ttl = packet->ttl;
	if (packet->ttl > entry->max_ttl)
		entry->max_ttl = packet->ttl;
	if (packet->length < entry->min_length)
		entry->min_length = packet->length;
	if (packet->length > entry->max_length)
		entry->max_length = packet->length;
}

/* A packet that no level can take in goes to the spill ring by itself. Nothing shared is written but atomically. */
static __noinline int spill_packet(__u32 epoch, const struct packet *packet)
{
	struct spill_record *record = bpf_ringbuf_reserve(&spill, sizeof(*record), 0);

	if (!record)
		return -1;
	record->epoch = epoch;
	record->padding = 0;
	start_entry(&record->entry, packet);
	record->addresses = packet->wide;
	bpf_ringbuf_submit(record, spill_wakeup());
	return 0;
}

static __always_inline void count_lost(const struct place *place, const struct flow_entry *entry)
{
	struct ledger_cell *cell = ledger_of(place->epoch & 1, place->cpu, entry->point);

	if (cell) {
		cell->lost_spill_packets += entry->packets;
		cell->lost_spill_bytes += entry->bytes;
	}
}

/* The bucket or the entries are full: the next flow in turn leaves, its entry changes hands. */
static __noinline int replace_entry(struct place *place, const struct packet *packet, __u32 taken)
{
	struct flow_addresses *wide;
	struct flow_entry *entry;
	struct ledger_cell *cell;
	__u32 way, number, tag;

	if (!taken) { /* a free bucket, but no free entry */
		if (spill_packet(place->epoch, packet)) {
			cell = ledger_of(place->epoch & 1, place->cpu, packet->point);
			if (cell) {
				cell->lost_spill_packets += packet->count;
				cell->lost_spill_bytes += packet->bytes;
			}
		}
		return 0;
	}
	way = place->part->hand++ % taken & (BUCKET_WAYS - 1);
	tag = place->bucket->tags[way];
	number = place->first_entry + (tag & TAG_ENTRY_MASK) - 1;
	entry = bpf_map_lookup_elem(&entries, &number);
	wide = bpf_map_lookup_elem(&addresses, &number);
	if (!entry || !wide)
		return 0;
	if (!spill_entry(place->epoch, entry, wide))
		count_lost(place, entry);
	start_entry(entry, packet);
	if (packet->link & LINK_IPV6)
		*wide = packet->wide;
	place->bucket->tags[way] = place->tag | (tag & TAG_ENTRY_MASK);
	return 0;
}

static __always_inline void insert(struct place *place, const struct packet *packet, __u32 way)
{
	struct part_state *part = place->part;
	struct flow_addresses *wide;
	struct flow_entry *entry;
	__u32 number;

	if (way >= BUCKET_WAYS || part->used >= entries_per_cpu) {
		replace_entry(place, packet, way);
		return;
	}
	number = place->first_entry + part->used;
	entry = bpf_map_lookup_elem(&entries, &number);
	if (!entry)
		return;
	start_entry(entry, packet);
	if (packet->link & LINK_IPV6) {
		wide = bpf_map_lookup_elem(&addresses, &number);
		if (wide)
			*wide = packet->wide;
	}
	place->bucket->tags[way] = place->tag | ++part->used;
}

/* Adds the packet to entry `number` of this part, if that is its flow. */
static __always_inline bool add_to(const struct place *place, __u32 number, const struct packet *packet)
{
	__u32 index = place->first_entry + number;
	struct flow_entry *entry = bpf_map_lookup_elem(&entries, &index);

	if (!entry || !same_flow(entry, packet))
		return false;
	if ((packet->link & LINK_IPV6) && !same_addresses(index, packet))
		return false;
	add_packet(entry, packet);
	return true;
}

static __always_inline void record(struct place *place, const struct packet *packet)
{
	__u32 part = (place->epoch & 1) * cpus + place->cpu, index, tag, way;
	__u64 h;

	place->first_entry = part * entries_per_cpu;
	h = hash(packet);
	place->tag = (__u32)(h >> 32) & ~TAG_ENTRY_MASK;
	index = part * (bucket_mask + 1) + ((__u32)h & bucket_mask);
	place->bucket = bpf_map_lookup_elem(&buckets, &index);
	if (!place->bucket)
		return;
	for (way = 0; way < BUCKET_WAYS; way++) {
		tag = place->bucket->tags[way];
		if (!tag)
			break;
		if ((tag ^ place->tag) & ~TAG_ENTRY_MASK)
			continue;
		if (add_to(place, (tag & TAG_ENTRY_MASK) - 1, packet))
			return;
	}
	insert(place, packet, way);
}
