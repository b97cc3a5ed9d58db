/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The two ends of a study: a generator that is run on live frames (5.18), and the sink, which counts
 * what has arrived and takes it off the way. Every packet says who sent it, and its number.
 */
#include "plain.h"

#define STAMP_MAGIC 0x77656972 /* "weir" */
#define CPUS_MAX 1024
#define PORT_FIRST 10000
#define SOURCE_PORT_FIRST 20000
#define PORT_BITS 15
#define XDP_DROP 1
#define XDP_PASS 2
#define VERDICT_SHOT 2

/* After the UDP header. */
struct stamp {
	__u32 magic;
	__u32 sender;
	__u64 sequence;
};

/* What is to be sent, one after another. */
struct step {
	__u32 flow;
	__u16 length; /* of the frame */
	__u16 ipv6;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct step);
} schedule SEC(".maps");

/* One sender is one CPU. */
struct sender {
	__u32 number;
	__u32 begin; /* its part of the schedule */
	__u32 length;
	__u32 position;
	__u64 sequence;
	__u64 gap; /* nanoseconds between two packets, at least */
	__u64 due; /* the next one */
	__u64 began; /* the window that is under way, in nanoseconds; 0: none is */
	__u64 padding[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CPUS_MAX);
	__type(key, __u32);
	__type(value, struct sender);
} senders SEC(".maps");

/*
 * Packets go in windows by their numbers. How long each took says what it costs that somebody watches, if that is
 * every other window: neighbours on the host slow down both alike. Frames are passed on 64 at a time, of which a
 * window has a whole number.
 */
#define WINDOW 1024 /* packets */
#define WINDOWS 4096 /* of each CPU that are kept: as many as user space runs at a time */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WINDOWS); /* for each CPU */
	__type(key, __u32);
	__type(value, __u64); /* nanoseconds */
} windows SEC(".maps");

/* What has arrived on each CPU. */
struct arrived {
	__u64 packets;
	__u64 padding[7];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CPUS_MAX);
	__type(key, __u32);
	__type(value, struct arrived);
} arrivals SEC(".maps");

/* Ethernet, IP and UDP as all packets of a family begin, in words. */
struct headers {
	__u64 words[8];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct headers);
} headers SEC(".maps");

#define ETHERNET 14
#define IPV4_UDP (ETHERNET + 20)
#define IPV6_UDP (ETHERNET + 40)
#define UDP 8

/* Fields of a packet lie at odd places: these are machines that do not mind. */
#define AT(type, packet, offset) (*(type *)((packet) + (offset)))

static __always_inline void write_udp(void *udp, const struct step *step, __u32 length)
{
	AT(__be16, udp, 0) = bpf_htons(SOURCE_PORT_FIRST + (step->flow >> PORT_BITS));
	AT(__be16, udp, 2) = bpf_htons(PORT_FIRST + (step->flow & ((1 << PORT_BITS) - 1)));
	AT(__be16, udp, 4) = bpf_htons(length);
}

static __always_inline void write_stamp(void *stamp, struct sender *sender)
{
	AT(__u32, stamp, 0) = STAMP_MAGIC;
	AT(__u32, stamp, 4) = sender->number;
	AT(__u64, stamp, 8) = sender->sequence++;
}

static __always_inline int write_ipv4(void *data, void *data_end, const struct step *step, struct sender *sender)
{
	__u32 family = 0;
	struct headers *begin = bpf_map_lookup_elem(&headers, &family);

	if (!begin || data + IPV4_UDP + UDP + sizeof(struct stamp) > data_end)
		return XDP_DROP;
#pragma unroll
	for (int i = 0; i < 6; i++)
		AT(__u64, data, 8 * i) = begin->words[i];
	AT(__be16, data, ETHERNET + 2) = bpf_htons(step->length - ETHERNET);
	write_udp(data + IPV4_UDP, step, step->length - IPV4_UDP);
	write_stamp(data + IPV4_UDP + UDP, sender);
	return XDP_PASS;
}

static __always_inline int write_ipv6(void *data, void *data_end, const struct step *step, struct sender *sender)
{
	__u32 family = 1;
	struct headers *begin = bpf_map_lookup_elem(&headers, &family);

	if (!begin || data + IPV6_UDP + UDP + sizeof(struct stamp) > data_end)
		return XDP_DROP;
#pragma unroll
	for (int i = 0; i < 8; i++)
		AT(__u64, data, 8 * i) = begin->words[i];
	AT(__be16, data, ETHERNET + 4) = bpf_htons(step->length - IPV6_UDP);
	write_udp(data + IPV6_UDP, step, step->length - IPV6_UDP);
	write_stamp(data + IPV6_UDP + UDP, sender);
	return XDP_PASS;
}

struct xdp_md {
	__u32 data;
	__u32 data_end;
	__u32 data_meta;
	__u32 ingress_ifindex;
	__u32 rx_queue_index;
	__u32 egress_ifindex;
};

#define SPINS 4096

/* Frames are passed on 64 at a time, so that is how they come. Who is late does not catch up. */
static __always_inline void wait_for_turn(struct sender *sender)
{
	__u64 time = bpf_ktime_get_ns();

	for (int i = 0; i < SPINS && time < sender->due; i++)
		time = bpf_ktime_get_ns();
	sender->due = (time > sender->due + 64 * sender->gap ? time : sender->due) + sender->gap;
}

static __always_inline void begin_window(struct sender *sender, __u32 cpu)
{
	__u32 before = cpu * WINDOWS + ((sender->sequence / WINDOW - 1) & (WINDOWS - 1));
	__u64 *took = bpf_map_lookup_elem(&windows, &before), now = bpf_ktime_get_ns();

	if (took && sender->began)
		*took = now - sender->began;
	sender->began = now;
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	__u32 cpu = bpf_get_smp_processor_id(), index;
	struct sender *sender = bpf_map_lookup_elem(&senders, &cpu);
	struct step *step;

	if (!sender)
		return XDP_DROP;
	if (sender->gap)
		wait_for_turn(sender);
	if (!(sender->sequence & (WINDOW - 1)))
		begin_window(sender, cpu);
	if (sender->position >= sender->length)
		sender->position = 0;
	index = sender->begin + sender->position++;
	step = bpf_map_lookup_elem(&schedule, &index);
	if (!step)
		return XDP_DROP;
	if (step->length < ctx->data_end - ctx->data &&
	    bpf_xdp_adjust_tail((void *)ctx, step->length - (int)(ctx->data_end - ctx->data)))
		return XDP_DROP;
	if (step->ipv6)
		return write_ipv6((void *)(long)ctx->data, (void *)(long)ctx->data_end, step, sender);
	return write_ipv4((void *)(long)ctx->data, (void *)(long)ctx->data_end, step, sender);
}

/* On the far end's device only so that it takes frames from the generator. */
SEC("xdp")
int pass(struct xdp_md *ctx __attribute__((unused)))
{
	return XDP_PASS;
}

/* The stamp of a packet of the generator's; of any other, none. */
static __always_inline struct stamp *stamp_of(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	void *stamp = data + UDP + (skb->protocol == bpf_htons(ETHERTYPE_IPV6) ? IPV6_UDP : IPV4_UDP);

	if (stamp + sizeof(struct stamp) > data_end || AT(__u32, stamp, 0) != STAMP_MAGIC)
		return NULL;
	return stamp;
}

static __always_inline int count_arrival(void)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct arrived *arrived = bpf_map_lookup_elem(&arrivals, &cpu);

	if (!arrived)
		return VERDICT_NEXT;
	arrived->packets++;
	return VERDICT_SHOT;
}

SEC("tcx/ingress")
int sink(struct __sk_buff *skb)
{
	return stamp_of(skb) ? count_arrival() : VERDICT_NEXT;
}

/* Before whoever watches: takes the packets of every other window off the way. */
SEC("tcx/ingress")
int gate(struct __sk_buff *skb)
{
	void *stamp = stamp_of(skb);

	return stamp && AT(__u64, stamp, 8) & WINDOW ? count_arrival() : VERDICT_NEXT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
