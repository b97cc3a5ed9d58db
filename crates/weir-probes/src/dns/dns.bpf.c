/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The DNS probe: queries and answers as they cross an interface, over UDP and TCP. It hangs where the flow probe does.
 * What is no DNS, that is almost everything, is let go after a few loads.
 */
#include <weir/packet.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 21); /* 10 000 short messages, 500 of the longest */
} messages SEC(".maps");

/* What the ring had no room for. */
__u64 lost_messages;

/* The ports that servers answer from, in network byte order, sixteen bits each, and how many they are. */
const volatile __u64 dns_ports;
const volatile __u32 dns_port_count;

#define IPV4_PLAIN 0x45 /* version 4, no options */
#define IPV4_OPTIONS_MOST 40
#define TCP_FIN 0x01
#define TCP_RST 0x04

/* As much of UDP and TCP as is looked at. */
struct transport {
	__be16 source_port;
	__be16 destination_port;
	union {
		__be16 udp_length;
		__be32 sequence;
	};
	__be32 acknowledgement;
	__be16 offset_flags;
};

/* Where the payload of a packet lies. */
struct payload {
	__u32 offset;
	__u32 length;
};

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

static __always_inline bool has_ports(__u8 protocol)
{
	return protocol == PROTOCOL_UDP || protocol == PROTOCOL_TCP;
}

/* Whether it can be DNS, as far as loads tell; what they cannot reach may be. */
static __always_inline bool may_be_dns(const struct __sk_buff *skb, __u32 link_header)
{
	const void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	const struct ipv4_header *v4 = data + link_header;
	const struct ipv6_header *v6 = data + link_header;
	const __be16 *ports;

	if (skb->protocol == bpf_htons(ETHERTYPE_IPV4)) {
		ports = (const void *)(v4 + 1);
		if ((const void *)(ports + 2) > data_end)
			return true;
		if (!has_ports(v4->protocol))
			return false;
		if (v4->version_ihl != IPV4_PLAIN)
			return true;
	} else if (skb->protocol == bpf_htons(ETHERTYPE_IPV6)) {
		ports = (const void *)(v6 + 1);
		if ((const void *)(ports + 2) > data_end)
			return true;
		if (!has_ports(v6->next_header))
			return false;
	} else {
		return false;
	}
	return has_dns_port(ports[0], ports[1]);
}

static __always_inline void map_ipv4(__u64 *to, __be32 address)
{
	to[0] = 0;
	to[1] = (__u64)address << 32 | bpf_htonl(0xffff);
}

/* The addresses; where the transport header begins. False: it is no packet with ports, or a later fragment. */
static __always_inline bool read_network(struct __sk_buff *skb, struct dns_message *message, struct payload *rest)
{
	union {
		struct ipv4_header v4;
		struct ipv6_header v6;
	} ip;

	if (skb->protocol == bpf_htons(ETHERTYPE_IPV4)) {
		if (bpf_skb_load_bytes(skb, rest->offset, &ip.v4, sizeof(ip.v4)) ||
		    (ip.v4.fragment & bpf_htons(IPV4_OFFSET)))
			return false;
		map_ipv4(message->source, ip.v4.source);
		map_ipv4(message->destination, ip.v4.destination);
		message->protocol = ip.v4.protocol;
		rest->length = bpf_ntohs(ip.v4.total_length);
		/* 0 is a datagram over 64 KiB (BIG TCP). */
		if (!rest->length)
			rest->length = skb->len - rest->offset;
		rest->length -= (ip.v4.version_ihl & 0x0f) * 4;
		rest->offset += (ip.v4.version_ihl & 0x0f) * 4;
	} else {
		if (bpf_skb_load_bytes(skb, rest->offset, &ip.v6, sizeof(ip.v6)))
			return false;
		__builtin_memcpy(message->source, ip.v6.source, sizeof(message->source));
		__builtin_memcpy(message->destination, ip.v6.destination, sizeof(message->destination));
		message->protocol = ip.v6.next_header;
		rest->offset += sizeof(ip.v6);
		rest->length = bpf_ntohs(ip.v6.payload_length) ?: skb->len - rest->offset;
	}
	return has_ports(message->protocol);
}

/* The ports; where the payload begins. False: not ours. */
static __always_inline bool read_transport(struct __sk_buff *skb, struct dns_message *message, struct payload *rest)
{
	struct transport head = {};
	__u32 header = UDP_HEADER_LENGTH;

	if (bpf_skb_load_bytes(skb, rest->offset, &head, UDP_HEADER_LENGTH) ||
	    !has_dns_port(head.source_port, head.destination_port))
		return false;
	message->source_port = bpf_ntohs(head.source_port);
	message->destination_port = bpf_ntohs(head.destination_port);
	if (message->protocol == PROTOCOL_TCP) {
		if (bpf_skb_load_bytes(skb, rest->offset, &head, sizeof(struct tcp_start)))
			return false;
		message->sequence = bpf_ntohl(head.sequence);
		message->tcp_flags = TCP_FLAGS(bpf_ntohs(head.offset_flags));
		header = TCP_HEADER_LENGTH(bpf_ntohs(head.offset_flags));
	} else if (!skb->gso_size) {
		/* Of a fragment this is how long it is with all the others. */
		rest->length = bpf_ntohs(head.udp_length);
	} else {
		message->segment = skb->gso_size;
	}
	if (rest->length < header)
		return false;
	rest->length -= header;
	rest->offset += header;
	return true;
}

static __always_inline void read_place(struct __sk_buff *skb, struct dns_message *message)
{
	message->time = bpf_ktime_get_ns();
	message->ifindex = skb->ifindex;
	message->netns = BPF_CORE_READ((const struct sk_buff *)skb, dev, nd_net.net, ns.inum);
}

/* Room in the ring has a size that the verifier knows: a copy of this for each of four. */
static __always_inline void tell(struct __sk_buff *skb, const struct dns_message *message, __u32 offset, __u32 there,
				 const __u32 room)
{
	struct dns_message *told = bpf_ringbuf_reserve(&messages, sizeof(*told) + room, 0);
	__u64 last = (__u64)there - 1;

	if (!told) {
		__sync_fetch_and_add(&lost_messages, 1);
		return;
	}
	*told = *message;
	/*
	 * How many bytes less one: verifiers before Linux 6.2 do not learn from a comparison with 0 that there is at
	 * least one, and from this one test they learn both bounds.
	 */
	asm volatile("" : "+r"(last));
	if (last < room)
		bpf_skb_load_bytes(skb, offset, told + 1, last + 1);
	bpf_ringbuf_submit(told, BPF_RB_NO_WAKEUP);
}

/* Reads it with care, and copies what is DNS. A TCP segment without payload is told where a stream begins or ends. */
static __noinline int hear(struct __sk_buff *skb, __u32 link_header, __u32 egress)
{
	struct dns_message message = { .egress = egress };
	struct payload payload = { .offset = link_header };
	__u32 there;

	if (!read_network(skb, &message, &payload) || !read_transport(skb, &message, &payload))
		return 0;
	if (!payload.length && !(message.tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)))
		return 0;
	read_place(skb, &message);
	message.length = payload.length;
	there = skb->len > payload.offset ? skb->len - payload.offset : 0;
	if (there > payload.length)
		there = payload.length;
	if (there <= DNS_BYTES_LEAST)
		tell(skb, &message, payload.offset, there, DNS_BYTES_LEAST);
	else if (there <= DNS_BYTES_FEW)
		tell(skb, &message, payload.offset, there, DNS_BYTES_FEW);
	else if (there <= DNS_BYTES_MANY)
		tell(skb, &message, payload.offset, there, DNS_BYTES_MANY);
	else
		tell(skb, &message, payload.offset, there > DNS_BYTES_MOST ? DNS_BYTES_MOST : there, DNS_BYTES_MOST);
	return 0;
}

static __always_inline int observe(struct __sk_buff *skb, __u32 link_header, __u32 egress)
{
	if (unlikely(may_be_dns(skb, link_header)))
		hear(skb, link_header, egress);
	return VERDICT_NEXT;
}

SEC("tcx/ingress")
int weir_dns_in(struct __sk_buff *skb)
{
	return observe(skb, sizeof(struct ethernet_header), 0);
}

SEC("tcx/egress")
int weir_dns_out(struct __sk_buff *skb)
{
	return observe(skb, sizeof(struct ethernet_header), 1);
}

/* The same for interfaces whose frames begin with the network header. */
SEC("tcx/ingress")
int weir_dns_ip_in(struct __sk_buff *skb)
{
	return observe(skb, 0, 0);
}

SEC("tcx/egress")
int weir_dns_ip_out(struct __sk_buff *skb)
{
	return observe(skb, 0, 1);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
