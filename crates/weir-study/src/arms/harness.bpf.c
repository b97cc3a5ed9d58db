/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What all arms run under. The driver gives the packet the next flow's address and port, then
 * jumps to the arm under test; an arm's cost is its time less that of the arm that does nothing.
 */
#include "plain.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

__u32 flows; /* how many there are */
__u32 burst; /* packets of one flow in a row */
__u32 left;
__u32 random;

/* The flows of a study's traffic, one after another. User space sets how many; without any they are drawn. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} steps SEC(".maps");

const volatile __u32 step_count = 0;
__u32 position;

static __always_inline __u32 next_step(void)
{
	__u32 index = position < step_count ? position : 0;
	__u64 *flow = bpf_map_lookup_elem(&steps, &index);

	position = index + 1;
	return flow ? *flow : 0;
}

static __always_inline __u32 next_flow(void)
{
	if (step_count)
		return next_step();
	if (!left) {
		left = burst;
		if (!random)
			random = 1;
		random ^= random << 13;
		random ^= random >> 17;
		random ^= random << 5;
	}
	left--;
	return flows ? random % flows : 0;
}

static __always_inline __be32 address_of(__u32 flow)
{
	return bpf_htonl(0x0a000000 + (flow >> 8));
}

static __always_inline __be16 port_of(__u32 flow)
{
	return bpf_htons(1024 + (flow & 0xff));
}

SEC("tcx/ingress")
int drive_ipv4(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	struct ipv4_header *ip = data + sizeof(struct ethernet_header);
	struct tcp_start *ports = (void *)(ip + 1);
	__u32 flow;

	if ((void *)(ports + 1) > data_end)
		return VERDICT_NEXT;
	flow = next_flow();
	ip->source = address_of(flow);
	ports->source_port = port_of(flow);
	bpf_tail_call(skb, &target, 0);
	return VERDICT_NEXT;
}

SEC("tcx/ingress")
int drive_ipv6(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	struct ipv6_header *ip = data + sizeof(struct ethernet_header);
	struct tcp_start *ports = (void *)(ip + 1);
	__u32 flow;

	if ((void *)(ports + 1) > data_end)
		return VERDICT_NEXT;
	flow = next_flow();
	/* All eight bytes at once, as they are read: a load of more than the last store wrote has to wait for it. */
	ip->source[1] = (__u64)address_of(flow) << 32;
	ports->source_port = port_of(flow);
	bpf_tail_call(skb, &target, 0);
	return VERDICT_NEXT;
}

SEC("tcx/ingress")
int empty(struct __sk_buff *skb __attribute__((unused)))
{
	return VERDICT_NEXT;
}

/* Without a use for what was read, the compiler would not read it. */
struct plain_key parsed_key;
struct plain_value parsed_value;

SEC("tcx/ingress")
int parse_only(struct __sk_buff *skb)
{
	struct plain_value value = {};
	struct packet packet;
	struct plain_key key;

	read(skb, &packet);
	plain_key_of(&packet, &key);
	plain_start(&value, &packet, 0);
	parsed_key = key;
	parsed_value = value;
	return VERDICT_NEXT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
