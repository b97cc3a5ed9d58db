/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel half of the ledger: what was seen, and what was lost on the way, per observation point. */
#pragma once
#include "record.h"

/* Set by user space before load; constants to the verifier and the compiler of the kernel. */
const volatile __u32 cpus = 1; /* CPUs that have a part of their own in every level */
const volatile __u32 points = 1; /* observation points */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* generations * cpus * points */
	__type(key, __u32);
	__type(value, struct ledger_cell);
} ledger SEC(".maps");

static __always_inline struct ledger_cell *ledger_of(__u32 generation, __u32 cpu, __u32 point)
{
	__u32 index = (generation * cpus + cpu) * points + point;

	return bpf_map_lookup_elem(&ledger, &index);
}
