/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The record that the arms other than Weir's own keep: the same packet, read by the same
 * code, as anyone would write it down who hands it to one of the kernel's hashes.
 */
#pragma once
#include <weir/read_any.h>
#include <weir/read_common.h>
#include <weir/wire.h>

#define MAX_FLOWS 131072

/* What stamps packets. */
enum clock {
	CLOCK_JIFFIES,
	CLOCK_COARSE,
	CLOCK_FINE,
};
const volatile __u32 clock = CLOCK_JIFFIES;

/* Packets that there was no room for. */
__u64 lost;

static __always_inline void lose(void)
{
	__sync_fetch_and_add(&lost, 1);
}

static __always_inline __u64 now(void)
{
	if (clock == CLOCK_FINE)
		return bpf_ktime_get_ns();
	if (clock == CLOCK_COARSE)
		return bpf_ktime_get_coarse_ns();
	return bpf_jiffies64();
}

struct plain_key {
	__u64 source[2]; /* IPv4 is mapped into IPv6 */
	__u64 destination[2];
	__be16 source_port;
	__be16 destination_port;
	__u16 link;
	__u16 point;
	__u32 protocol;
	__u32 padding;
};

struct plain_value {
	__u64 packets;
	__u64 bytes;
	__u64 first;
	__u64 last;
	__u32 min_length;
	__u32 max_length;
	__u16 tcp_flags;
	__u8 min_ttl;
	__u8 max_ttl;
	__u32 padding;
};

static __always_inline void read(struct __sk_buff *skb, struct packet *packet)
{
	struct beginning start = {};

	__builtin_memset(&packet->wide, 0, sizeof(packet->wide));
	packet->point = 1;
	packet->now = 0;
	if (!read_common(skb, packet))
		read_any(skb, packet, &start);
	measure(skb, packet);
}

static __always_inline void plain_key_of(const struct packet *packet, struct plain_key *key)
{
	if (packet->link & LINK_IPV4) {
		key->source[0] = 0;
		key->source[1] = 0xffff0000ULL | packet->addresses << 32;
		key->destination[0] = 0;
		key->destination[1] = 0xffff0000ULL | (packet->addresses >> 32 << 32);
	} else {
		__builtin_memcpy(key->source, &packet->wide, sizeof(packet->wide));
	}
	key->source_port = packet->source_port;
	key->destination_port = packet->destination_port;
	key->link = packet->link;
	key->point = packet->point;
	key->protocol = packet->protocol;
	key->padding = 0;
}

/* For tables of our own. */
static __always_inline __u32 plain_hash(const struct plain_key *key)
{
	const __u64 *words = (const __u64 *)key;
	__u64 hash = 0;

#pragma unroll
	for (int i = 0; i < 6; i++)
		hash = (hash ^ (hash >> 32) ^ words[i]) * 0x9e3779b97f4a7c15ULL;
	return hash >> 32;
}

static __always_inline bool plain_same_key(const struct plain_key *a, const struct plain_key *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3] && x[4] == y[4] && x[5] == y[5];
}

static __always_inline void plain_start(struct plain_value *value, const struct packet *packet, __u64 now)
{
	value->packets = packet->count;
	value->bytes = packet->bytes;
	value->first = now;
	value->last = now;
	value->min_length = packet->length;
	value->max_length = packet->length;
	value->tcp_flags = packet->tcp_flags;
	value->min_ttl = packet->ttl;
	value->max_ttl = packet->ttl;
	value->padding = 0;
}

/* What a record of one packet is. */
struct postcard {
	struct plain_key key;
	__u64 time;
	__u32 bytes;
	__u16 packets;
	__u16 tcp_flags;
};

static __always_inline void plain_write(struct postcard *card, const struct packet *packet)
{
	plain_key_of(packet, &card->key);
	card->time = now();
	card->bytes = packet->bytes;
	card->packets = packet->count;
	card->tcp_flags = packet->tcp_flags;
}

/* All but the two sums, which may have to be atomic. */
static __always_inline void plain_note(struct plain_value *value, const struct packet *packet, __u64 now)
{
	value->last = now;
	value->tcp_flags |= packet->tcp_flags;
	if (packet->ttl < value->min_ttl)
		value->min_ttl = packet->ttl;
	if (packet->ttl > value->max_ttl)
		value->max_ttl = packet->ttl;
	if (packet->length < value->min_length)
		value->min_length = packet->length;
	if (packet->length > value->max_length)
		value->max_length = packet->length;
}

static __always_inline void plain_add(struct plain_value *value, const struct packet *packet, __u64 now)
{
	value->packets += packet->count;
	value->bytes += packet->bytes;
	plain_note(value, packet, now);
}
