/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The design's first form: a direct-mapped burst cache before a per-CPU hash. A flow that
 * is not the one in its slot takes it over, and what the slot had counted goes into the hash.
 */
#include "plain.h"

const volatile __u32 slot_mask = 0; /* slots per CPU, a power of two, less one */

struct slot {
	struct plain_key key;
	struct plain_value value;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* CPUs * slots */
	__type(key, __u32);
	__type(value, struct slot);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_FLOWS);
	__type(key, struct plain_key);
	__type(value, struct plain_value);
} aggregates SEC(".maps");

static __always_inline __u32 slot_of(const struct plain_key *key)
{
	return bpf_get_smp_processor_id() * (slot_mask + 1) + (plain_hash(key) & slot_mask);
}

static __always_inline void fold(const struct slot *victim)
{
	struct plain_value *sum = bpf_map_lookup_elem(&aggregates, &victim->key);

	if (!sum) {
		bpf_map_update_elem(&aggregates, &victim->key, &victim->value, BPF_ANY);
		return;
	}
	sum->packets += victim->value.packets;
	sum->bytes += victim->value.bytes;
	sum->last = victim->value.last;
	sum->tcp_flags |= victim->value.tcp_flags;
	if (victim->value.min_ttl < sum->min_ttl)
		sum->min_ttl = victim->value.min_ttl;
	if (victim->value.max_ttl > sum->max_ttl)
		sum->max_ttl = victim->value.max_ttl;
	if (victim->value.min_length < sum->min_length)
		sum->min_length = victim->value.min_length;
	if (victim->value.max_length > sum->max_length)
		sum->max_length = victim->value.max_length;
}

SEC("tcx/ingress")
int mix(struct __sk_buff *skb)
{
	struct packet packet;
	struct plain_key key;
	struct slot *slot;
	__u32 index;

	read(skb, &packet);
	plain_key_of(&packet, &key);
	index = slot_of(&key);
	slot = bpf_map_lookup_elem(&slots, &index);
	if (!slot)
		return VERDICT_NEXT;
	if (plain_same_key(&slot->key, &key)) {
		plain_add(&slot->value, &packet, now());
		return VERDICT_NEXT;
	}
	if (slot->value.packets)
		fold(slot);
	slot->key = key;
	plain_start(&slot->value, &packet, now());
	return VERDICT_NEXT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
