/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What packets are stamped with: jiffies, one load, or the fine clock, a call. Which one is a constant when the
 * program is loaded, so that the verifier takes the other one out.
 */
#pragma once
#include "record.h"

const volatile __u8 fine_clock = 0; /* set by user space */

static __always_inline __u64 ticks(void)
{
	return fine_clock ? bpf_ktime_get_ns() >> FINE_TICK_BITS : bpf_jiffies64();
}
