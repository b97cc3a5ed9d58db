/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel half of the ledger: what was seen, and what was lost on the way, per observation point. */
#pragma once
#include "record.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* parts * points */
	__type(key, __u32);
	__type(value, struct ledger_cell);
} ledger SEC(".maps");

static __always_inline struct ledger_cell *ledger_of(const struct part_state *part, __u32 point)
{
	__u32 index = part->first_cell + point;

	return bpf_map_lookup_elem(&ledger, &index);
}
