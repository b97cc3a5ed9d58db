/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One of the kernel's hashes, updated in place. `percpu_hash` is what every ratio is taken to. */
#include "plain.h"

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

/* User space puts one plain hash into it for every CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct plain_hash);
} hash_of_cpu SEC(".maps");

static __always_inline void start(void *map, const struct plain_key *key, const struct packet *packet, __u64 now)
{
	struct plain_value value;

	plain_start(&value, packet, now);
	bpf_map_update_elem(map, key, &value, BPF_ANY);
}

static __always_inline int count_in(struct __sk_buff *skb, void *map, __u64 now)
{
	struct plain_value *value;
	struct packet packet;
	struct plain_key key;

	read(skb, &packet);
	plain_key_of(&packet, &key);
	value = bpf_map_lookup_elem(map, &key);
	if (value)
		plain_add(value, &packet, now);
	else
		start(map, &key, &packet, now);
	return VERDICT_NEXT;
}

SEC("tcx/ingress")
int percpu_hash(struct __sk_buff *skb)
{
	return count_in(skb, &by_cpu, bpf_ktime_get_ns());
}

SEC("tcx/ingress")
int percpu_coarse(struct __sk_buff *skb)
{
	return count_in(skb, &by_cpu, bpf_ktime_get_coarse_ns());
}

SEC("tcx/ingress")
int percpu_jiffies(struct __sk_buff *skb)
{
	return count_in(skb, &by_cpu, bpf_jiffies64());
}

SEC("tcx/ingress")
int lru_percpu(struct __sk_buff *skb)
{
	return count_in(skb, &lru_by_cpu, bpf_ktime_get_coarse_ns());
}

SEC("tcx/ingress")
int one_per_cpu(struct __sk_buff *skb)
{
	__u32 cpu = bpf_get_smp_processor_id();
	void *hash = bpf_map_lookup_elem(&hash_of_cpu, &cpu);

	return hash ? count_in(skb, hash, bpf_ktime_get_coarse_ns()) : VERDICT_NEXT;
}

SEC("tcx/ingress")
int shared_atomic(struct __sk_buff *skb)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct plain_value *value;
	struct packet packet;
	struct plain_key key;

	read(skb, &packet);
	plain_key_of(&packet, &key);
	value = bpf_map_lookup_elem(&shared, &key);
	if (value) {
		__sync_fetch_and_add(&value->packets, packet.count);
		__sync_fetch_and_add(&value->bytes, packet.bytes);
		plain_note(value, &packet, now);
	} else {
		start(&shared, &key, &packet, now);
	}
	return VERDICT_NEXT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
