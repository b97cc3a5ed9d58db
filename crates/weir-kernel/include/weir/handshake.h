/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Handshakes of TCP that only pass through, timed where they leave for the server: the SYN on its way out, the SYN-ACK
 * on its way in, the ACK on its way out. What goes out and has come in before is forwarded.
 */
#pragma once
#include "address.h"
#include "interfaces.h"
#include "packet.h"

const volatile bool time_handshakes = false; /* set by user space, as are the sizes of both maps */

/* Which connection, at which interface. */
struct handshake_key {
	__u64 client[2];
	__u64 server[2];
	__be16 client_port;
	__be16 server_port;
	__u16 point; /* of ingress */
	__u16 padding;
};

/* Times in nanoseconds of the monotonic clock. */
struct handshake {
	__u64 asked; /* the last SYN */
	__u64 answered; /* the last SYN-ACK; 0: none since that SYN */
	__u64 server_rtt; /* from that SYN to the first SYN-ACK */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct handshake_key);
	__type(value, struct handshake);
} half_open SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 12);
} handshakes SEC(".maps");

/* What the ring had no room for. */
__u64 lost_handshakes;

/* When a SYN was last forwarded, in jiffies: nothing is looked for long after that. */
__u64 last_asked;
/* 1 to 10 minutes. */
#define HANDSHAKE_PATIENCE 60000

static __always_inline bool was_asked_lately(void)
{
	return last_asked && bpf_jiffies64() - last_asked < HANDSHAKE_PATIENCE;
}

/* Of a packet to the server, or of one that comes from there. */
static __always_inline void describe_handshake(struct handshake_key *key, const struct packet *packet)
{
	__u64 *source = packet->egress ? key->client : key->server;
	__u64 *destination = packet->egress ? key->server : key->client;

	if (packet->link & LINK_IPV4) {
		map_ipv4(source, packet->addresses);
		map_ipv4(destination, packet->addresses >> 32);
	} else {
		__builtin_memcpy(source, packet->wide.source, sizeof(packet->wide.source));
		__builtin_memcpy(destination, packet->wide.destination, sizeof(packet->wide.destination));
	}
	key->client_port = packet->egress ? packet->source_port : packet->destination_port;
	key->server_port = packet->egress ? packet->destination_port : packet->source_port;
	key->point = packet->point - packet->egress;
	key->padding = 0;
}

static __always_inline void ask(const struct handshake_key *key)
{
	struct handshake new = { .asked = bpf_ktime_get_ns() };

	last_asked = bpf_jiffies64();
	bpf_map_update_elem(&half_open, key, &new, BPF_ANY);
}

static __always_inline void answer(const struct handshake_key *key)
{
	struct handshake *handshake = bpf_map_lookup_elem(&half_open, key);
	__u64 now = bpf_ktime_get_ns();

	if (!handshake)
		return;
	if (!handshake->answered)
		handshake->server_rtt = now - handshake->asked;
	handshake->answered = now;
}

static __always_inline void tell_handshake(struct __sk_buff *skb, const struct handshake_key *key, __u64 client_rtt,
					   __u64 server_rtt)
{
	struct handshake_event *event = bpf_ringbuf_reserve(&handshakes, sizeof(*event), 0);

	if (!event) {
		__sync_fetch_and_add(&lost_handshakes, 1);
		return;
	}
	__builtin_memcpy(event->client, key->client, sizeof(event->client));
	__builtin_memcpy(event->server, key->server, sizeof(event->server));
	event->client_rtt = client_rtt;
	event->server_rtt = server_rtt;
	event->netns = every_netns ? netns_of(skb) : 0;
	event->client_port = bpf_ntohs(key->client_port);
	event->server_port = bpf_ntohs(key->server_port);
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

/* The client has answered, or given up: either way it is over. */
static __always_inline void conclude(struct __sk_buff *skb, const struct handshake_key *key, bool is_granted)
{
	struct handshake *handshake = bpf_map_lookup_elem(&half_open, key);
	__u64 answered, server_rtt;

	if (!handshake || (is_granted && !handshake->answered))
		return;
	answered = handshake->answered;
	server_rtt = handshake->server_rtt;
	/* Of several CPUs that have come so far one goes on. */
	if (!bpf_map_delete_elem(&half_open, key) && is_granted)
		tell_handshake(skb, key, bpf_ktime_get_ns() - answered, server_rtt);
}

/* Takes the step that the packet is, of those that may be one. */
static __noinline int follow_handshake(struct __sk_buff *skb, const struct packet *packet)
{
	__u16 flags = packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST);
	bool is_answer = !packet->egress && flags == (TCP_SYN | TCP_ACK);
	/* Of packets that this host has made there is no such number. */
	bool is_forwarded = packet->egress && flags && flags != (TCP_SYN | TCP_ACK) && skb->ingress_ifindex;
	struct handshake_key key;

	if (!is_answer && !is_forwarded)
		return 0;
	if (flags != TCP_SYN && !was_asked_lately())
		return 0;
	describe_handshake(&key, packet);
	if (is_answer)
		answer(&key);
	else if (flags == TCP_SYN)
		ask(&key);
	else
		conclude(skb, &key, !(flags & TCP_RST));
	return 0;
}
