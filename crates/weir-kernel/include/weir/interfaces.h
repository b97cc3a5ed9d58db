/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which interfaces are watched, and the numbers of their observation points. */
#pragma once
#include "record.h"
#include "table.h"

/* Other namespaces are watched too; this is the inode of the agent's own. */
const volatile bool every_netns = false;
const volatile __u32 own_netns = 0;

/*
 * Those of the agent's own namespace by ifindex; a host that counts past the table's end, and every other
 * namespace, uses the hash beside it.
 */
TABLE(interfaces, interface_entry)

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct interface_key);
	__type(value, struct interface_entry);
} interfaces_beyond SEC(".maps");

/* Linux 6.2: the socket buffer itself, to be read like any other memory; each probe read costs 28 ns instead. */
extern void *bpf_cast_to_kern_ctx(void *) __ksym __weak;

static __always_inline __u32 netns_of(struct __sk_buff *ctx)
{
	const struct sk_buff *skb = (const void *)ctx;
	__u32 netns;

	if (bpf_ksym_exists(bpf_cast_to_kern_ctx)) {
		skb = bpf_cast_to_kern_ctx(ctx);
		netns = skb->dev->nd_net.net->ns.inum;
	} else {
		netns = BPF_CORE_READ(skb, dev, nd_net.net, ns.inum);
	}
	return netns == own_netns ? 0 : netns;
}

/* Out of line: a lookup in a known array is inlined, not one in either of two maps (18 ns). */
static __noinline struct interface_entry *interface_beyond(__u32 netns, __u32 ifindex)
{
	struct interface_key key = { .netns = netns, .ifindex = ifindex };

	return bpf_map_lookup_elem(&interfaces_beyond, &key);
}

static __always_inline struct interface_entry *interface_of(struct __sk_buff *skb)
{
	__u32 netns = every_netns ? netns_of(skb) : 0;
	struct interface_entry *interface = NULL;

	if (likely(!netns))
		interface = interfaces_at(skb->ifindex);
	return likely(interface) ? interface : interface_beyond(netns, skb->ifindex);
}
