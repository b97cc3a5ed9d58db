/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses as records have them: those of IPv4 are mapped into IPv6, two words as they lie in a packet. */
#pragma once
#include "record.h"

static __always_inline void map_ipv4(__u64 *to, __be32 address)
{
	to[0] = 0;
	to[1] = (__u64)address << 32 | 0xffff0000ULL;
}
