/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The last resort before loss: a ring that carries aggregates, read by user space all the time. */
#pragma once
#include "packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 12);
} spill SEC(".maps");

const volatile __u64 spill_wakeup_bytes = 1 << 11;

/* One wake-up for a good batch; below that the drain's own clock is soon enough. */
static __always_inline __u64 spill_wakeup(void)
{
	return bpf_ringbuf_query(&spill, BPF_RB_AVAIL_DATA) >= spill_wakeup_bytes ? BPF_RB_FORCE_WAKEUP :
										    BPF_RB_NO_WAKEUP;
}

static __always_inline bool spill_entry(__u32 epoch, __u64 parent, const struct flow_entry *entry,
					const struct flow_addresses *addresses)
{
	struct spill_record *record = bpf_ringbuf_reserve(&spill, sizeof(*record), 0);

	if (!record)
		return false;
	record->epoch = epoch;
	record->padding = 0;
	record->parent = parent;
	record->entry = *entry;
	record->addresses = *addresses;
	bpf_ringbuf_submit(record, spill_wakeup());
	return true;
}
