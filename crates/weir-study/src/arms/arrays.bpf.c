/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One record per packet into an array that is written round and round. User space says how far
 * it has read; what would overwrite an unread record is lost.
 */
#include "plain.h"

#define SLOTS 65536
/* CPUs that may have found room at the same moment, before any of them has taken it. */
#define CPUS_MAX 1024

/* A cache line each: positions are counted on, and wrap. */
struct positions {
	__u32 head; /* written by programs */
	__u32 padding[15];
	__u32 tail; /* written by user space */
	__u32 padding_too[15];
};

/* Of the shared array: element 0. Of the per-CPU array: one for each CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct positions);
} positions SEC(".maps");

struct slot {
	struct postcard card;
	__u64 written; /* its position, plus one: records are taken in this order, and finished in any */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct slot);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct postcard);
} cards SEC(".maps");

SEC("tcx/ingress")
int array(struct __sk_buff *skb)
{
	__u32 zero = 0, position, index;
	struct positions *at = bpf_map_lookup_elem(&positions, &zero);
	struct packet packet;
	struct slot *slot;

	if (!at)
		return VERDICT_NEXT;
	read(skb, &packet);
	if (READ_ONCE(at->head) - READ_ONCE(at->tail) >= SLOTS - CPUS_MAX) {
		lose();
		return VERDICT_NEXT;
	}
	position = __sync_fetch_and_add(&at->head, 1);
	index = position % SLOTS;
	slot = bpf_map_lookup_elem(&slots, &index);
	if (!slot)
		return VERDICT_NEXT;
	plain_write(&slot->card, &packet);
	barrier();
	WRITE_ONCE(slot->written, (__u64)position + 1);
	return VERDICT_NEXT;
}

SEC("tcx/ingress")
int percpu_array(struct __sk_buff *skb)
{
	__u32 cpu = bpf_get_smp_processor_id(), index;
	struct positions *at = bpf_map_lookup_elem(&positions, &cpu);
	struct postcard *card;
	struct packet packet;

	if (!at)
		return VERDICT_NEXT;
	read(skb, &packet);
	index = at->head % SLOTS;
	card = bpf_map_lookup_elem(&cards, &index);
	if (!card || at->head - READ_ONCE(at->tail) >= SLOTS) {
		lose();
		return VERDICT_NEXT;
	}
	plain_write(card, &packet);
	barrier();
	WRITE_ONCE(at->head, at->head + 1);
	return VERDICT_NEXT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
