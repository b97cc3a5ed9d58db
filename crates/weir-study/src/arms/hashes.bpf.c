/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's hashes, one record a flow. `percpu_hash` is what the ratios of weir-bench are taken to. */
#include "plain.h"

#define EEXIST 17

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_FLOWS);
	__type(key, struct plain_key);
	__type(value, struct plain_value);
} by_cpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, MAX_FLOWS);
	__type(key, struct plain_key);
	__type(value, struct plain_value);
} lru_by_cpu SEC(".maps");

struct plain_hash {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_FLOWS);
	__type(key, struct plain_key);
	__type(value, struct plain_value);
} shared SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_FLOWS);
	__type(key, struct plain_key);
	__type(value, struct plain_value);
} lru_shared SEC(".maps");

struct locked_value {
	struct plain_value value;
	struct bpf_spin_lock lock;
	__u32 padding;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_FLOWS);
	__type(key, struct plain_key);
	__type(value, struct locked_value);
} locked SEC(".maps");

/* User space puts one plain hash into it for every CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct plain_hash);
} hash_of_cpu SEC(".maps");

static __always_inline void read_key(struct __sk_buff *skb, struct packet *packet, struct plain_key *key)
{
	read(skb, packet);
	plain_key_of(packet, key);
}

/* Maps that one CPU alone writes. */
static __always_inline int count_alone(struct __sk_buff *skb, void *map)
{
	struct plain_value *value, fresh;
	struct packet packet;
	struct plain_key key;

	read_key(skb, &packet, &key);
	value = bpf_map_lookup_elem(map, &key);
	if (value) {
		plain_add(value, &packet, now());
		return VERDICT_NEXT;
	}
	plain_start(&fresh, &packet, now());
	if (bpf_map_update_elem(map, &key, &fresh, BPF_ANY))
		lose();
	return VERDICT_NEXT;
}

static __always_inline void add_atomically(struct plain_value *value, const struct packet *packet)
{
	__sync_fetch_and_add(&value->packets, packet->count);
	__sync_fetch_and_add(&value->bytes, packet->bytes);
	plain_note(value, packet, now());
}

/* Maps that all CPUs write: two of them may meet a flow for the first time at once. */
static __always_inline int count_together(struct __sk_buff *skb, void *map)
{
	struct plain_value *value, fresh;
	struct packet packet;
	struct plain_key key;
	long error;

	read_key(skb, &packet, &key);
	value = bpf_map_lookup_elem(map, &key);
	if (!value) {
		plain_start(&fresh, &packet, now());
		error = bpf_map_update_elem(map, &key, &fresh, BPF_NOEXIST);
		if (!error)
			return VERDICT_NEXT;
		value = error == -EEXIST ? bpf_map_lookup_elem(map, &key) : 0;
	}
	if (value)
		add_atomically(value, &packet);
	else
		lose();
	return VERDICT_NEXT;
}

/* As the article had it: what was changed in place is handed to the map once more. */
static __always_inline int count_and_publish(struct __sk_buff *skb, void *map)
{
	struct plain_value *value, fresh;
	struct packet packet;
	struct plain_key key;

	read_key(skb, &packet, &key);
	value = bpf_map_lookup_elem(map, &key);
	if (value) {
		plain_add(value, &packet, now());
	} else {
		plain_start(&fresh, &packet, now());
		value = &fresh;
	}
	if (bpf_map_update_elem(map, &key, value, BPF_ANY))
		lose();
	return VERDICT_NEXT;
}

SEC("tcx/ingress")
int hash(struct __sk_buff *skb)
{
	return count_together(skb, &shared);
}

SEC("tcx/ingress")
int lru_hash(struct __sk_buff *skb)
{
	return count_together(skb, &lru_shared);
}

SEC("tcx/ingress")
int hash_spinlock(struct __sk_buff *skb)
{
	struct locked_value *found, fresh = {};
	struct packet packet;
	struct plain_key key;
	__u64 time = now();

	read_key(skb, &packet, &key);
	found = bpf_map_lookup_elem(&locked, &key);
	if (!found) {
		plain_start(&fresh.value, &packet, time);
		if (!bpf_map_update_elem(&locked, &key, &fresh, BPF_NOEXIST))
			return VERDICT_NEXT;
		found = bpf_map_lookup_elem(&locked, &key);
		if (!found) {
			lose();
			return VERDICT_NEXT;
		}
	}
	bpf_spin_lock(&found->lock);
	plain_add(&found->value, &packet, time);
	bpf_spin_unlock(&found->lock);
	return VERDICT_NEXT;
}

SEC("tcx/ingress")
int hash_published(struct __sk_buff *skb)
{
	return count_and_publish(skb, &shared);
}

SEC("tcx/ingress")
int percpu_hash(struct __sk_buff *skb)
{
	return count_alone(skb, &by_cpu);
}

SEC("tcx/ingress")
int lru_percpu_hash(struct __sk_buff *skb)
{
	return count_alone(skb, &lru_by_cpu);
}

SEC("tcx/ingress")
int percpu_hash_published(struct __sk_buff *skb)
{
	return count_and_publish(skb, &by_cpu);
}

SEC("tcx/ingress")
int hash_per_cpu(struct __sk_buff *skb)
{
	__u32 cpu = bpf_get_smp_processor_id();
	void *map = bpf_map_lookup_elem(&hash_of_cpu, &cpu);

	return map ? count_alone(skb, map) : VERDICT_NEXT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
