/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow probe: every packet at TC ingress and egress lands in a flow or in the ledger.
 * The packet itself is never touched, its verdict never changed.
 */
#include <weir/burst.h>
#include <weir/clock.h>
#include <weir/dns_ports.h>
#include <weir/handshake.h>
#include <weir/interfaces.h>
#include <weir/read_any.h>
#include <weir/read_common.h>
#include <weir/rules.h>
#include <weir/tunnel.h>
#include <weir/wire.h>

/* Flipped by user space; the half of every level that is written now. */
__u32 epoch;

/*
 * Programs of the DNS probe, by how frames begin. Two arrays: since Linux 6.18 whatever is in one, and whatever jumps
 * there, is for the same hook.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, LINK_LAYER_NONE + 1);
	__type(key, __u32);
	__type(value, __u32);
} dns_ingress SEC(".maps"), dns_egress SEC(".maps");

/* What comes of a packet on the short way. */
enum outcome {
	NOT_COUNTED, /* nothing of it: it is for the long way */
	COUNTED,
	COUNTED_DNS, /* and it is to be handed on */
};

static __always_inline void read(struct __sk_buff *skb, struct packet *packet, __u32 link_layer)
{
	struct beginning start = {};

	if (link_layer != LINK_LAYER_ETHERNET || !read_common(skb, packet)) {
		if (link_layer != LINK_LAYER_ETHERNET)
			start.type = bpf_ntohs(skb->protocol);
		read_any(skb, packet, &start);
	}
	measure(skb, packet);
}

/*
 * This CPU is in the middle of a packet already (PREEMPT_RT), or came online after the levels
 * were laid out: they have one writer, and it is not us.
 */
static __noinline int count_nested(const struct packet *packet, const struct part_state *part, __u32 judgement)
{
	struct ledger_cell *cell = ledger_of(part, packet->point);

	if (!cell)
		return 0;
	__sync_fetch_and_add(&cell->nested_packets, packet->count);
	__sync_fetch_and_add(&cell->nested_bytes, packet->bytes);
	if (judgement == JUDGED_FILTERED) {
		__sync_fetch_and_add(&cell->nested_filtered_packets, packet->count);
		__sync_fetch_and_add(&cell->nested_filtered_bytes, packet->bytes);
	} else if (judgement == JUDGED_SAMPLED_OUT) {
		__sync_fetch_and_add(&cell->nested_sampled_out_packets, packet->count);
		__sync_fetch_and_add(&cell->nested_sampled_out_bytes, packet->bytes);
	} else if (spill_packet(packet)) {
		__sync_fetch_and_add(&cell->lost_nested_packets, packet->count);
		__sync_fetch_and_add(&cell->lost_nested_bytes, packet->bytes);
	}
	return 0;
}

/* A packet that the rules do not let through; out of line, so that the others run straight on. */
static __noinline int count_out(const struct packet *packet, struct ledger_cell *cell, __u32 judgement)
{
	if (!cell)
		return 0;
	if (judgement == JUDGED_FILTERED) {
		cell->filtered_packets += packet->count;
		cell->filtered_bytes += packet->bytes;
	} else {
		cell->sampled_out_packets += packet->count;
		cell->sampled_out_bytes += packet->bytes;
	}
	return 0;
}

/* On a CPU that has a part, with nobody else in the middle of it. As with record(): may it be of a handshake? */
static __always_inline bool count_in_turn(const struct packet *packet, struct part_state *part, __u32 judgement)
{
	struct ledger_cell *cell = ledger_of(part, packet->point);
	bool is_first = false;

	if (!cell)
		return false;
	WRITE_ONCE(part->busy, 1);
	cell->seen_packets += packet->count;
	cell->seen_bytes += packet->bytes;
	if (likely(judgement == JUDGED_COUNTED))
		is_first = record(packet, part);
	else
		count_out(packet, cell, judgement);
	WRITE_ONCE(part->busy, 0);
	return is_first;
}

/* `network`: where the network header begins, or 0 for where the kernel says. */
static __always_inline void count(struct __sk_buff *skb, struct packet *packet, __u32 network __attribute__((unused)))
{
	struct part_state *part = part_of(packet->epoch, packet->cpu) ?: part_of(packet->epoch, 0);
	__u32 judgement = JUDGED_COUNTED;
	bool is_first;

	if (!part)
		return;
	packet->rate = 0;
	if (rules && part->rule_words) {
#ifdef DRAW_BY_CONTENT
		if (part->rules_sample)
			packet->drawn = draw(skb, packet, network);
#endif
		/*
		 * Any number to the verifier: judge() returns constants, and with them Linux 6.1 and older can take
		 * one way back from it for another, so that rules are passed by. Whether they do hangs on the
		 * registers that the compiler picks.
		 */
		judgement = judge(packet, part->rule_words) + opaque_zero(skb->len);
	}
	if (unlikely(part->cpu != packet->cpu || READ_ONCE(part->busy))) {
		count_nested(packet, part, judgement);
		is_first = judgement == JUDGED_COUNTED;
	} else {
		is_first = count_in_turn(packet, part, judgement);
	}
	/* Where packets are drawn the one that ends a handshake may be missing, and a later one be taken for it. */
	if (time_handshakes && is_first && packet->protocol == PROTOCOL_TCP && !packet->rate)
		follow_handshake(skb, packet);
}

/*
 * What a tunnel's packet carries is a flow of its own, at an observation point of its own. Whether there was such: of a
 * function whose answer nobody takes, clang leaves in the register what happens to be there, and from a static one the
 * verifier does not let an address on the stack out.
 */
static __noinline int observe_inner(struct __sk_buff *skb, struct packet *packet, __u32 point)
{
	struct beginning inner;

	if (!find_inner(skb, packet, &inner))
		return 0;
	packet->parent = hash(packet);
	packet->point = point;
	read_any(skb, packet, &inner);
	measure_inner(skb, packet, inner.offset);
#ifdef DRAW_BY_CONTENT
	count(skb, packet, inner.network);
#else
	count(skb, packet, 0);
#endif
	return 1;
}

static __always_inline bool is_dns(const struct packet *packet)
{
	return dns_port_count && has_dns_port(packet->source_port, packet->destination_port);
}

/*
 * Any packet. Not static: the verifier looks at such a function once, by itself, and not for each way that leads to
 * it (Linux 5.6).
 */
__noinline int observe_any(struct __sk_buff *skb, __u32 direction)
{
	const struct interface_entry *interface = interface_of(skb);
	struct packet packet;

	if (!interface)
		return 0;
	__builtin_memset(&packet.wide, 0, sizeof(packet.wide));
	packet.epoch = READ_ONCE(epoch);
	packet.cpu = bpf_get_smp_processor_id();
	packet.egress = direction;
	packet.point = interface->point + direction;
	packet.parent = 0;
	packet.now = ticks();
	read(skb, &packet, interface->link_layer);
	if (is_dns(&packet))
		packet.marks |= DNS_PORT;
	count(skb, &packet, 0);
	if (decapsulate && interface->inner_point)
		return observe_inner(skb, &packet, interface->inner_point + direction);
	return 0;
}

/*
 * Adds the packet to its flow if that is there, or has it wait for others where flows are many; only then the rest of
 * it is read. What may be of a handshake takes the long way.
 */
static __always_inline enum outcome add(const struct __sk_buff *skb, struct packet *packet, struct part_state *part,
					const void *l3, __u32 tag_length,
					void (*read_rest)(struct packet *, const void *))
{
	struct whereabouts where;
	struct flow_entry *entry;
	struct ledger_cell *cell;

	if (unlikely(packet->tcp_flags & TCP_SYN))
		return NOT_COUNTED;
	if (has_many_flows(part) && !is_dns(packet) && locate(&where, packet, part)) {
		cell = ledger_of(part, packet->point);
		if (!cell)
			return NOT_COUNTED;
		measure_packet(skb, packet, tag_length);
		read_rest(packet, l3);
		if (!join_burst(packet, part, &where))
			return NOT_COUNTED;
		cell->seen_packets += packet->count;
		cell->seen_bytes += packet->bytes;
		return COUNTED;
	}
	entry = known(packet, part);
	if (!entry || unlikely(is_asking(entry)))
		return NOT_COUNTED;
	cell = ledger_of(part, packet->point);
	if (!cell)
		return NOT_COUNTED;
	measure_packet(skb, packet, tag_length);
	read_rest(packet, l3);
	cell->seen_packets += packet->count;
	cell->seen_bytes += packet->bytes;
	add_packet(entry, packet);
	return entry->marks & DNS_PORT ? COUNTED_DNS : COUNTED;
}

/* One add() for each family: what is kept while the flow is looked for differs. */
static __always_inline enum outcome add_known(const struct __sk_buff *skb, struct packet *packet,
					      struct part_state *part, __u32 tag_length)
{
	const void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	const void *l3 = data + sizeof(struct ethernet_header);
	const struct ethernet_header *ethernet = data;

	if (l3 > data_end)
		return NOT_COUNTED;
	if (ethernet->type == bpf_htons(ETHERTYPE_IPV4) && read_key_ipv4(packet, l3, data_end))
		return add(skb, packet, part, l3, tag_length, read_rest_ipv4);
	if (ethernet->type == bpf_htons(ETHERTYPE_IPV6) && read_key_ipv6(packet, l3, data_end))
		return add(skb, packet, part, l3, tag_length, read_rest_ipv6);
	return NOT_COUNTED;
}

/*
 * What most packets come to: one of a flow that is there, under no rules.
 * No function that is called gets a pointer to the packet, so that it is held in registers. And helpers are called
 * before the flow is looked for, though it may not be there: clang would keep what it knows by then on the stack.
 */
static __always_inline enum outcome observe_known(const struct __sk_buff *skb, __u32 point)
{
	struct packet packet = { .point = point, .link = 0, .now = ticks(), .epoch = READ_ONCE(epoch) };
	struct part_state *part = part_of(packet.epoch, bpf_get_smp_processor_id());
	enum outcome outcome;

	if (!part || busy_or_ruled(part) || skb->gso_size)
		return NOT_COUNTED;
	WRITE_ONCE(part->busy, 1);
	if (unlikely(skb->vlan_present)) {
		packet.link = metadata_vlan(skb);
		outcome = add_known(skb, &packet, part, VLAN_TAG_LENGTH);
	} else {
		outcome = add_known(skb, &packet, part, 0);
	}
	WRITE_ONCE(part->busy, 0);
	return outcome;
}

/*
 * Counts a packet, and leaves it to the DNS probe then if that may want it: on the long way its own look at the packet
 * decides. In the programs themselves and not in a function of theirs: from there the stack would have to be smaller.
 */
static __always_inline int observe(struct __sk_buff *skb, __u32 direction, void *dns)
{
	const struct interface_entry *interface = interface_of(skb);
	enum outcome outcome = NOT_COUNTED;

	if (!interface || !interface->point)
		return VERDICT_NEXT;
	if (interface->link_layer != LINK_LAYER_ETHERNET) {
		observe_any(skb, direction);
		if (dns_port_count)
			bpf_tail_call_static(skb, dns, LINK_LAYER_NONE);
		return VERDICT_NEXT;
	}
	if (!decapsulate || !interface->inner_point)
		outcome = observe_known(skb, interface->point + direction);
	if (outcome == NOT_COUNTED)
		observe_any(skb, direction);
	if (outcome != COUNTED && dns_port_count)
		bpf_tail_call_static(skb, dns, LINK_LAYER_ETHERNET);
	return VERDICT_NEXT;
}

SEC("tcx/ingress")
int weir_ingress(struct __sk_buff *skb)
{
	return observe(skb, 0, &dns_ingress);
}

SEC("tcx/egress")
int weir_egress(struct __sk_buff *skb)
{
	return observe(skb, 1, &dns_egress);
}

__u64 jiffies_now;
__u64 nanoseconds_now;

/* Run by hand, through BPF_PROG_TEST_RUN: what time is it, by either clock? */
SEC("tc")
int weir_clock(struct __sk_buff *skb __attribute__((unused)))
{
	jiffies_now = bpf_jiffies64();
	nanoseconds_now = bpf_ktime_get_ns();
	return VERDICT_NEXT;
}

/* bpf_probe_read_kernel() is for GPL-compatible programs. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
