/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hellos probe: what clients say before TLS and QUIC encrypt. It hangs on interfaces, whatever the port. What
 * begins no message, that is almost everything, is let go after a few loads.
 */
#define PAYLOAD_RING (1 << 22) /* 2 700 messages that fit one segment, 1 000 of the longest */
#include <weir/clock.h>
#include <weir/payload.h>

/* Which connection, at which interface and in which direction. */
struct stream_key {
	__u64 source[2];
	__u64 destination[2];
	__u32 ports;
	__u32 ifindex;
	__u32 netns;
	__u32 egress;
};

/* A message that is not all there. */
struct stream {
	__u32 next; /* TCP's sequence number of what is to come */
	__u32 left; /* bytes */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct stream_key);
	__type(value, struct stream);
} streams SEC(".maps");

/* When a message last began that was not all there, in jiffies: nothing is looked for long after that. */
__u64 last_begun;
/* 2 to 20 seconds. */
#define PATIENCE 2000

#define TLS_HANDSHAKE 22
#define TLS_MAJOR 3
#define TLS_CLIENT_HELLO 1
#define TLS_RECORD_HEADER 5
#define HANDSHAKE_HEADER 4
/* A longer message is none that a client would send. */
#define LONGEST_HELLO 16384

#define QUIC_LONG_HEADER 0xc0 /* and the bit that is always set */
#define QUIC_LEAST 1200 /* RFC 9000, 14.1 */

/* What the payload of a packet begins with. */
struct beginning {
	union {
		struct {
			__u8 record;
			__u8 major;
			__u8 minor;
			__u8 record_length[2];
			__u8 message;
			__u8 length[3];
		} __attribute__((packed));
		struct {
			__u8 first;
			__u8 version[4];
		} __attribute__((packed));
	};
};

static __always_inline bool is_tls(const struct beginning *payload)
{
	return payload->record == TLS_HANDSHAKE && payload->major == TLS_MAJOR && payload->message == TLS_CLIENT_HELLO;
}

static __always_inline bool is_quic(const struct beginning *payload)
{
	const __u8 *version = payload->version;

	if ((payload->first & QUIC_LONG_HEADER) != QUIC_LONG_HEADER)
		return false;
	return (!version[0] && !version[1] && !version[2] && version[3] == 1) ||
	       (version[0] == 0x6b && version[1] == 0x33 && version[2] == 0x43 && version[3] == 0xcf);
}

static __always_inline bool was_begun_lately(void)
{
	return last_begun && bpf_jiffies64() - last_begun < PATIENCE;
}

/* Whether TCP's payload may be of interest, as far as loads tell; what they cannot reach may be. */
static __always_inline bool may_be_tls(const struct __sk_buff *skb, const struct tcp_start *tcp, const void *data,
				       const void *data_end)
{
	const struct beginning *payload;
	__u32 header;

	if ((const void *)(tcp + 1) > data_end)
		return true;
	header = TCP_HEADER_LENGTH(bpf_ntohs(tcp->offset_flags));
	payload = (const void *)tcp + (header & 0x3c);
	if ((const void *)payload - data >= skb->len)
		return false;
	if (was_begun_lately() || (const void *)(payload + 1) > data_end)
		return true;
	return is_tls(payload);
}

static __always_inline bool may_be_quic(const struct __sk_buff *skb, const void *udp, const void *data_end)
{
	const struct beginning *payload = udp + UDP_HEADER_LENGTH;

	if (skb->len < QUIC_LEAST)
		return false;
	return (const void *)(payload + 1) > data_end || is_quic(payload);
}

static __always_inline bool may_be_hello(const struct __sk_buff *skb, __u32 link_header)
{
	const void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end, *transport;
	const struct ipv4_header *v4 = data + link_header;
	const struct ipv6_header *v6 = data + link_header;
	__u8 protocol;

	if (skb->protocol == bpf_htons(ETHERTYPE_IPV4)) {
		transport = v4 + 1;
		if (transport > data_end)
			return true;
		protocol = v4->protocol;
		if (v4->version_ihl != IPV4_PLAIN)
			return has_ports(protocol);
	} else if (skb->protocol == bpf_htons(ETHERTYPE_IPV6)) {
		transport = v6 + 1;
		if (transport > data_end)
			return true;
		protocol = v6->next_header;
	} else {
		return false;
	}
	if (protocol == PROTOCOL_TCP)
		return may_be_tls(skb, transport, data, data_end);
	return protocol == PROTOCOL_UDP && may_be_quic(skb, transport, data_end);
}

static __always_inline void describe_stream(struct stream_key *key, const struct payload_part *part)
{
	__builtin_memcpy(key->source, part->source, sizeof(key->source));
	__builtin_memcpy(key->destination, part->destination, sizeof(key->destination));
	key->ports = (__u32)part->source_port << 16 | part->destination_port;
	key->ifindex = part->ifindex;
	key->netns = part->netns;
	key->egress = part->egress;
}

/* A message of TLS that begins here. What is not all there will be looked for. */
static __always_inline void begin(const struct payload_part *part, const struct beginning *payload)
{
	__u32 length = (__u32)payload->length[0] << 16 | (__u32)payload->length[1] << 8 | payload->length[2];
	struct stream_key key;
	struct stream stream;

	length += TLS_RECORD_HEADER + HANDSHAKE_HEADER;
	if (length <= part->length || length > LONGEST_HELLO)
		return;
	describe_stream(&key, part);
	stream.next = part->sequence + part->length;
	stream.left = length - part->length;
	last_begun = bpf_jiffies64();
	bpf_map_update_elem(&streams, &key, &stream, BPF_ANY);
}

/* Whether it continues a message that has begun. */
static __always_inline bool continues(const struct payload_part *part)
{
	struct stream_key key;
	struct stream *stream;

	describe_stream(&key, part);
	stream = bpf_map_lookup_elem(&streams, &key);
	/* What is sent again, or comes too early, is not of this message, or will come again. */
	if (!stream || stream->next != part->sequence)
		return false;
	stream->next += part->length;
	if (stream->left > part->length)
		stream->left -= part->length;
	else
		bpf_map_delete_elem(&streams, &key);
	return true;
}

/* Reads it with care, and copies what is of interest. */
static __noinline int hear(struct __sk_buff *skb, __u32 link_header, __u32 egress)
{
	struct payload_part part = { .egress = egress };
	struct payload payload = { .offset = link_header };
	struct beginning beginning = {};

	if (!read_network(skb, &part, &payload) || !read_transport(skb, &part, &payload) || !payload.length)
		return 0;
	part.length = payload.length;
	read_place(skb, &part);
	/* Less than that begins nothing, but may end it. */
	if (part.length >= sizeof(beginning) && bpf_skb_load_bytes(skb, payload.offset, &beginning, sizeof(beginning)))
		return 0;
	if (part.protocol == PROTOCOL_TCP ? is_tls(&beginning) : is_quic(&beginning)) {
		part.is_first = 1;
		if (part.protocol == PROTOCOL_TCP)
			begin(&part, &beginning);
	} else if (part.protocol != PROTOCOL_TCP || !continues(&part)) {
		return 0;
	}
	tell(skb, &part, &payload);
	return 0;
}

static __always_inline int observe(struct __sk_buff *skb, __u32 link_header, __u32 egress)
{
	if (may_be_hello(skb, link_header))
		hear(skb, link_header, egress);
	return VERDICT_NEXT;
}

SEC("tcx/ingress")
int weir_hello_in(struct __sk_buff *skb)
{
	return observe(skb, sizeof(struct ethernet_header), 0);
}

SEC("tcx/egress")
int weir_hello_out(struct __sk_buff *skb)
{
	return observe(skb, sizeof(struct ethernet_header), 1);
}

/* The same for interfaces whose frames begin with the network header. */
SEC("tcx/ingress")
int weir_hello_ip_in(struct __sk_buff *skb)
{
	return observe(skb, 0, 0);
}

SEC("tcx/egress")
int weir_hello_ip_out(struct __sk_buff *skb)
{
	return observe(skb, 0, 1);
}

/* bpf_probe_read_kernel() is for GPL-compatible programs. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
