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
#include "dns_ports.h"
#include "ledger.h"
#include "spill.h"
#include "table.h"

/* Set by user space before load; constants to the verifier and the compiler of the kernel. */
const volatile __u32 entries_per_cpu = 1;
const volatile __u32 bucket_mask = 0; /* buckets per CPU, a power of two, less one */
const volatile __u64 hash_seed = 0;

TABLE(buckets, flow_bucket) /* parts * (bucket_mask + 1) */

TABLE(entries, flow_entry) /* parts * entries_per_cpu */

TABLE(addresses, flow_addresses) /* as many as entries */

/* Where tunnels are looked into: the digest of the flow that carries this one. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* as many as entries */
	__type(key, __u32);
	__type(value, __u64);
} parents SEC(".maps");

const volatile bool decapsulate = false;

TABLE(parts, part_state) /* both generations of the first CPU, of the second, … */

/* None for a CPU that came online after the parts were laid out. */
static __always_inline struct part_state *part_of(__u32 epoch, __u32 cpu)
{
	return parts_at(cpu << 1 | (epoch & 1));
}

/* Two loads, not one: the mark was written a moment ago, and what is read as a part of a longer word waits for that. */
static __always_inline bool busy_or_ruled(const struct part_state *part)
{
	return READ_ONCE(part->busy) | READ_ONCE(part->rule_words);
}

/* The key's second word: ports, point and link lie side by side. */
static __always_inline __u64 second_word(const struct packet *packet)
{
	return (__u64)packet->link << 48 | (__u64)packet->point << 32 | packet->ports;
}

static __always_inline __u64 hash(const struct packet *packet)
{
	/* The protocol is not in the second word, where it and a point would make up for others. */
	__u64 h = (packet->addresses ^ hash_seed) * 0x9e3779b97f4a7c15ULL + ((__u64)packet->protocol << 32);

	h = (h ^ (h >> 32) ^ second_word(packet)) * 0xbf58476d1ce4e5b9ULL;
	return h ^ (h >> 32);
}

static __always_inline bool same_flow(const struct flow_entry *entry, const struct packet *packet)
{
	return entry->addresses == packet->addresses && *(const __u64 *)&entry->source_port == second_word(packet) &&
	       entry->protocol == packet->protocol;
}

static __always_inline bool same_addresses(__u32 number, const struct flow_addresses *other)
{
	const struct flow_addresses *wide = addresses_at(number);

	return wide && wide->source[0] == other->source[0] && wide->source[1] == other->source[1] &&
	       wide->destination[0] == other->destination[0] && wide->destination[1] == other->destination[1];
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
	entry->marks = packet->marks;
	entry->rate = packet->rate;
	entry->packets = packet->count;
	entry->bytes = packet->bytes;
	entry->first = packet->now;
	entry->last = packet->now;
	entry->min_length = packet->length;
	entry->max_length = packet->length;
	entry->dscp_seen = 1ULL << (packet->traffic_class >> 2);
}

_Static_assert(__builtin_offsetof(struct flow_entry, marks) == __builtin_offsetof(struct flow_entry, tcp_flags) + 2,
	       "both are written at once");

/* Flags, marks and rate, as they lie side by side. To clang it may be any of them: what was read before is not it. */
typedef __u32 __attribute__((may_alias)) flags_word;

static __always_inline void add_packet(struct flow_entry *entry, const struct packet *packet)
{
	entry->packets += packet->count;
	entry->bytes += packet->bytes;
	entry->last = packet->now;
	*(flags_word *)&entry->tcp_flags |= packet->marks << 16 | flags_of(packet);
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
static __noinline int spill_packet(const struct packet *packet)
{
	struct spill_record *record = bpf_ringbuf_reserve(&spill, sizeof(*record), 0);

	if (!record)
		return -1;
	record->epoch = packet->epoch;
	record->padding = 0;
	record->parent = packet->parent;
	start_entry(&record->entry, packet);
	record->addresses = packet->wide;
	bpf_ringbuf_submit(record, spill_wakeup());
	return 0;
}

static __noinline int count_lost(const struct part_state *part, __u32 point, __u64 packets, __u64 bytes)
{
	struct ledger_cell *cell = ledger_of(part, point);

	if (cell) {
		cell->lost_spill_packets += packets;
		cell->lost_spill_bytes += bytes;
	}
	return 0;
}

static __always_inline void set_parent(__u32 number, const struct packet *packet)
{
	__u64 *parent = decapsulate ? bpf_map_lookup_elem(&parents, &number) : NULL;

	if (parent)
		*parent = packet->parent;
}

static __always_inline __u64 parent_of(__u32 number)
{
	const __u64 *parent = decapsulate ? bpf_map_lookup_elem(&parents, &number) : NULL;

	return parent ? *parent : 0;
}

/*
 * A flow is looked for in its bucket from a way of its own on, round about, up to the first that is free. It is nearly
 * always found at once, which the CPU learns to expect: it goes for the entry before it has compared the tag.
 */
static __always_inline __u32 first_way(__u32 fingerprint)
{
	return fingerprint >> 28;
}

static __always_inline __u32 way_of(__u32 fingerprint, __u32 step)
{
	return (first_way(fingerprint) + step) & (BUCKET_WAYS - 1);
}

/* Whether all that was seen of the flow so far asks for a connection: what follows is of its handshake. */
static __always_inline bool is_asking(const struct flow_entry *entry)
{
	return (entry->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* What its tag says of that, and of DNS, for as long as this generation lasts. */
static __always_inline __u32 watched(const struct flow_entry *entry)
{
	return is_asking(entry) || (entry->marks & DNS_PORT) ? TAG_WATCHED : 0;
}

/* Of flows that a tag cannot tell apart, each packet has to see its entry. */
static __always_inline __u32 watch_alike(struct flow_bucket *bucket, __u32 fingerprint)
{
	__u32 watched = 0;

	for (int way = 0; way < BUCKET_WAYS; way++) {
		if (!bucket->tags[way] || ((bucket->tags[way] ^ fingerprint) & TAG_FINGERPRINT))
			continue;
		bucket->tags[way] |= TAG_WATCHED;
		watched = TAG_WATCHED;
	}
	return watched;
}

/* The bucket or the entries are full: the next flow in turn leaves, its entry changes hands. */
static __noinline int replace_entry(const struct packet *packet, struct part_state *part, struct flow_bucket *bucket,
				    __u32 taken, __u32 fingerprint)
{
	struct flow_addresses *wide;
	struct flow_entry *entry;
	__u32 way, number, tag;

	if (!taken) { /* a free bucket, but no free entry */
		if (spill_packet(packet))
			count_lost(part, packet->point, packet->count, packet->bytes);
		return 0;
	}
	way = way_of(fingerprint, part->hand++ % taken);
	tag = bucket->tags[way];
	number = part->first_entry + (tag & TAG_ENTRY_MASK) - 1;
	entry = entries_at(number);
	wide = addresses_at(number);
	if (!entry || !wide)
		return 0;
	if (!spill_entry(packet->epoch, parent_of(number), entry, wide))
		count_lost(part, entry->point, entry->packets, entry->bytes);
	start_entry(entry, packet);
	set_parent(number, packet);
	if (packet->link & LINK_IPV6)
		*wide = packet->wide;
	bucket->tags[way] = 0;
	bucket->tags[way] = watch_alike(bucket, fingerprint) | fingerprint | watched(entry) | (tag & TAG_ENTRY_MASK);
	return 0;
}

/* A flow's first packet. Out of line: what most packets run through should be short and lie together. */
static __noinline int insert(const struct packet *packet, struct part_state *part, struct flow_bucket *bucket,
			     __u32 taken, __u32 fingerprint)
{
	__u32 number = part->first_entry + part->used;
	struct flow_addresses *wide;
	struct flow_entry *entry;

	entry = entries_at(number);
	if (!entry)
		return 0;
	start_entry(entry, packet);
	set_parent(number, packet);
	if (packet->link & LINK_IPV6) {
		wide = addresses_at(number);
		if (wide)
			*wide = packet->wide;
	}
	bucket->tags[way_of(fingerprint, taken)] =
		watch_alike(bucket, fingerprint) | fingerprint | watched(entry) | ++part->used;
	return 0;
}

static __always_inline struct flow_bucket *bucket_of(const struct part_state *part, __u64 h)
{
	return buckets_at(part->first_bucket + ((__u32)h & bucket_mask));
}

static __always_inline __u32 fingerprint_of(__u64 h)
{
	return (__u32)(h >> 32) & TAG_FINGERPRINT;
}

/* The packet's flow; or none, and so many ways are taken by others. */
static __always_inline struct flow_entry *find(const struct packet *packet, const struct part_state *part,
					       const struct flow_bucket *bucket, __u32 fingerprint, __u32 *taken)
{
	struct flow_entry *entry;
	__u32 number, tag, way = first_way(fingerprint);

	for (*taken = 0; *taken < BUCKET_WAYS; ++*taken, way = (way + 1) & (BUCKET_WAYS - 1)) {
		tag = bucket->tags[way];
		if (!tag)
			break;
		if ((tag ^ fingerprint) & TAG_FINGERPRINT)
			continue;
		number = part->first_entry + (tag & TAG_ENTRY_MASK) - 1;
		entry = entries_at(number);
		if (!entry || !same_flow(entry, packet))
			continue;
		if ((packet->link & LINK_IPV6) && !same_addresses(number, &packet->wide))
			continue;
		return entry;
	}
	return NULL;
}

/* The packet's flow, or none. */
static __always_inline struct flow_entry *known(const struct packet *packet, const struct part_state *part)
{
	__u64 h = hash(packet);
	struct flow_bucket *bucket = bucket_of(part, h);
	__u32 taken;

	return bucket ? find(packet, part, bucket, fingerprint_of(h), &taken) : NULL;
}

/*
 * Whether the packet may be of a handshake. One that asks again where there was an answer already does not begin
 * another one: the ACK that follows would not be told from those before.
 */
static __always_inline bool record(const struct packet *packet, struct part_state *part)
{
	__u64 h = hash(packet);
	struct flow_bucket *bucket = bucket_of(part, h);
	struct flow_entry *entry;
	bool is_first;
	__u32 taken;

	if (!bucket)
		return false;
	entry = find(packet, part, bucket, fingerprint_of(h), &taken);
	if (entry) {
		is_first = is_asking(entry) || (packet->marks & SYN_ACK_SEEN);
		add_packet(entry, packet);
		return is_first;
	}
	taken += opaque_zero(part->used); /* what follows is one way to the verifier, and not one for each number */
	if (likely(taken < BUCKET_WAYS && part->used < entries_per_cpu))
		insert(packet, part, bucket, taken, fingerprint_of(h));
	else
		replace_entry(packet, part, bucket, taken, fingerprint_of(h));
	return true;
}
