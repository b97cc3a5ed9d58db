/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow probe: every packet at TC ingress and egress lands in a flow or in the ledger.
 * The packet itself is never touched, its verdict never changed.
 */
#include <weir/levels.h>
#include <weir/read_any.h>
#include <weir/read_common.h>
#include <weir/wire.h>

/* Flipped by user space; the half of every level that is written now. */
__u32 epoch;

/* Interfaces by ifindex; a host that counts past the array's end uses the hash beside it. */
const volatile __u32 interfaces_direct = 1;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* interfaces_direct */
	__type(key, __u32);
	__type(value, struct interface_entry);
} interfaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct interface_entry);
} interfaces_beyond SEC(".maps");

static __always_inline struct interface_entry *interface_of(const struct __sk_buff *skb)
{
	struct interface_entry *interface;
	__u32 ifindex = skb->ifindex;

	if (likely(ifindex < interfaces_direct)) {
		interface = bpf_map_lookup_elem(&interfaces, &ifindex);
		/* Two calls, not one with either map: the kernel inlines a lookup only in a known array (18 ns). */
		barrier_var(interface);
		return interface;
	}
	return bpf_map_lookup_elem(&interfaces_beyond, &ifindex);
}

static __always_inline void read(struct __sk_buff *skb, struct packet *packet, __u32 link_layer)
{
	if (link_layer != LINK_LAYER_ETHERNET || !read_common(skb, packet))
		read_any(skb, packet, link_layer);
	measure(skb, packet);
}

/*
 * This CPU is in the middle of a packet already (PREEMPT_RT), or came online after the levels
 * were laid out: they have one writer, and it is not us.
 */
static __noinline int observe_nested(const struct packet *packet)
{
	struct part_state *part = part_of(packet->epoch, packet->cpu < cpus ? packet->cpu : 0);
	struct ledger_cell *cell;

	if (!part)
		return 0;
	cell = ledger_of(part, packet->point);
	if (!cell)
		return 0;
	__sync_fetch_and_add(&cell->nested_packets, packet->count);
	__sync_fetch_and_add(&cell->nested_bytes, packet->bytes);
	if (spill_packet(packet)) {
		__sync_fetch_and_add(&cell->lost_nested_packets, packet->count);
		__sync_fetch_and_add(&cell->lost_nested_bytes, packet->bytes);
	}
	return 0;
}

static __always_inline int observe(struct __sk_buff *skb, __u32 direction)
{
	struct interface_entry *interface = interface_of(skb);
	struct packet packet;
	struct part_state *part;
	struct ledger_cell *cell;

	if (!interface || !interface->point)
		return VERDICT_NEXT;
	__builtin_memset(&packet.wide, 0, sizeof(packet.wide));
	packet.epoch = READ_ONCE(epoch);
	packet.cpu = bpf_get_smp_processor_id();
	packet.point = interface->point + direction;
	packet.now = bpf_jiffies64();
	read(skb, &packet, interface->link_layer);

	part = part_of(packet.epoch, packet.cpu);
	if (unlikely(!part || READ_ONCE(part->busy))) {
		observe_nested(&packet);
		return VERDICT_NEXT;
	}
	cell = ledger_of(part, packet.point);
	if (!cell)
		return VERDICT_NEXT;
	WRITE_ONCE(part->busy, 1);
	cell->seen_packets += packet.count;
	cell->seen_bytes += packet.bytes;
	record(&packet, part);
	WRITE_ONCE(part->busy, 0);
	return VERDICT_NEXT;
}

SEC("tcx/ingress")
int weir_ingress(struct __sk_buff *skb)
{
	return observe(skb, 0);
}

SEC("tcx/egress")
int weir_egress(struct __sk_buff *skb)
{
	return observe(skb, 1);
}

__u64 jiffies_now;

/* Run by hand, through BPF_PROG_TEST_RUN: how many jiffies is it? */
SEC("tc")
int weir_clock(struct __sk_buff *skb __attribute__((unused)))
{
	jiffies_now = bpf_jiffies64();
	return VERDICT_NEXT;
}

/* bpf_probe_read_kernel() is for GPL-compatible programs. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
