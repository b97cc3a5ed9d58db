/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The DNS probe: queries and answers as they cross an interface, over UDP and TCP. The flow probe hands on what may be
 * DNS; where there is none, or it cannot, this one hangs by itself, and lets go of what is no DNS after a few loads.
 */
#define PAYLOAD_RING (1 << 21) /* 10 000 short messages, 500 of the longest */
#include <weir/dns_ports.h>
#include <weir/payload.h>

#define TCP_FIN 0x01

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

/* Reads it with care, and copies what is DNS. A TCP segment without payload is told where a stream begins or ends. */
static __noinline int hear(struct __sk_buff *skb, __u32 link_header, __u32 egress)
{
	struct payload_part part = { .egress = egress };
	struct payload payload = { .offset = link_header };

	if (!read_network(skb, &part, &payload) || !read_transport(skb, &part, &payload))
		return 0;
	if (!has_dns_port(bpf_htons(part.source_port), bpf_htons(part.destination_port)))
		return 0;
	if (!payload.length && !(part.tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)))
		return 0;
	read_place(skb, &part);
	tell(skb, &part, &payload);
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
