/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which packets concern the DNS probe. The flow probe hands them on, and the DNS probe looks for itself. */
#pragma once
#include "kernel.h"

/* In flow_entry.marks, beside those of record.h: one of the ports is one of DNS. Means nothing to user space. */
#define DNS_PORT 0x10

/* The ports that servers answer from, in network byte order, sixteen bits each, and how many they are. */
const volatile __u64 dns_ports;
const volatile __u32 dns_port_count;

static __always_inline bool is_one_of(__u32 port, __u32 source, __u32 destination)
{
	return source == port || destination == port;
}

/* The verifier knows how many there are, and takes the other comparisons out. */
static __always_inline bool has_dns_port(__u32 source, __u32 destination)
{
	return is_one_of((__u16)dns_ports, source, destination) ||
	       (dns_port_count > 1 && is_one_of((__u16)(dns_ports >> 16), source, destination)) ||
	       (dns_port_count > 2 && is_one_of((__u16)(dns_ports >> 32), source, destination)) ||
	       (dns_port_count > 3 && is_one_of((__u16)(dns_ports >> 48), source, destination));
}
