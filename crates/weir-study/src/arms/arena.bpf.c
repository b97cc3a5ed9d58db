/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A hash of our own in a BPF arena (6.9): memory that user space has mapped too. One table per CPU,
 * a few places in a row for each flow.
 */
#include "plain.h"

#define TABLE (2 * MAX_FLOWS) /* entries per CPU: a power of two */
#define PLACES 16

struct arena_entry {
	struct plain_key key;
	struct plain_value value;
	__u64 padding[4]; /* two cache lines */
};

/* User space sets how many pages; it has touched all of them before a program comes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
} arena SEC(".maps");

const volatile __u64 base = 0; /* where user space has it */
const volatile __u32 tables = 0;

/*
 * The instruction by which the verifier takes a number for an address in the arena (kernel commit
 * 6082b6c328b5): a register move with offset 1. Compilers before LLVM 19 do not know it.
 */
#define in_arena(pointer)                                      \
	asm volatile(".byte 0xbf\n"                            \
		     ".ifc %[reg], r0\n .byte 0x00\n .endif\n" \
		     ".ifc %[reg], r1\n .byte 0x11\n .endif\n" \
		     ".ifc %[reg], r2\n .byte 0x22\n .endif\n" \
		     ".ifc %[reg], r3\n .byte 0x33\n .endif\n" \
		     ".ifc %[reg], r4\n .byte 0x44\n .endif\n" \
		     ".ifc %[reg], r5\n .byte 0x55\n .endif\n" \
		     ".ifc %[reg], r6\n .byte 0x66\n .endif\n" \
		     ".ifc %[reg], r7\n .byte 0x77\n .endif\n" \
		     ".ifc %[reg], r8\n .byte 0x88\n .endif\n" \
		     ".ifc %[reg], r9\n .byte 0x99\n .endif\n" \
		     ".short 1\n .long 1\n"                    \
		     : [reg] "+r"(pointer))

SEC("tcx/ingress")
int arena_hash(struct __sk_buff *skb)
{
	__u32 cpu = bpf_get_smp_processor_id(), place;
	struct arena_entry *entry;
	struct packet packet;
	struct plain_key key;

	/* A program may use the arena that it names. */
	asm volatile("" ::"r"(&arena));
	if (cpu >= tables)
		return VERDICT_NEXT;
	read(skb, &packet);
	plain_key_of(&packet, &key);
	place = plain_hash(&key);
	for (__u32 i = 0; i < PLACES; i++, place++) {
		__u64 number = (__u64)cpu * TABLE + place % TABLE;

		entry = (void *)(base + number * sizeof(*entry));
		in_arena(entry);
		if (!entry->value.packets) {
			entry->key = key;
			plain_start(&entry->value, &packet, now());
			return VERDICT_NEXT;
		}
		if (plain_same_key(&entry->key, &key)) {
			plain_add(&entry->value, &packet, now());
			return VERDICT_NEXT;
		}
	}
	lose();
	return VERDICT_NEXT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
