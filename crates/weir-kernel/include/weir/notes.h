/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Notes that a probe keeps on sockets. Whoever includes it says before what a `struct note` is.
 *
 * Those on TCP's sockets have places that follow from where the socket lies, and are forgotten when it closes. One in
 * socket storage would die by itself, but is allocated, charged to the user's memory and freed after a grace period for
 * each socket anew; that, or an entry of a hash, takes a microsecond. Storage is for sockets whose end nobody tells of,
 * and for those whose place is taken.
 */
#pragma once
#include "socket.h"

#define PLACE_BITS 13

/* The place of one note. */
struct place {
	__u64 socket; /* whose it is; 0: nobody's */
	__u64 claims; /* by who has it, and by who looks whether it can be had */
	struct note note;
};

struct place places[1 << PLACE_BITS];

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct note);
} notes SEC(".maps");

/* Linux 5.11 lets programs such as these use socket storage. */
const volatile __u8 can_store = 1;

/* Not one that is made to write TCP's headers by hand. */
static __always_inline bool is_connection(const struct sock *sk)
{
	return sk->sk_protocol == PROTOCOL_TCP && sk->sk_type == TYPE_STREAM;
}

static __always_inline struct note *stored_note(void *sk, __u64 flags)
{
	return can_store ? bpf_sk_storage_get(&notes, sk, NULL, flags) : NULL;
}

/* By half of the address: a move of 32 bits is what the verifier allows to make a number of a pointer with. */
static __always_inline __u32 place_number(const void *sk)
{
	__u64 half;

	asm volatile("r1 = %1; w1 = w1; %0 = r1" : "=r"(half) : "r"(sk) : "r1");
	return (__u32)half * 0x9e3779b1U >> (32 - PLACE_BITS);
}

static __always_inline struct place *place_of(const void *sk)
{
	return &places[place_number(sk)];
}

/* `sk` is one whose type the verifier knows. */
static __always_inline struct note *find_note(void *sk)
{
	struct place *place = place_of(sk);

	return place->socket == (__u64)sk ? &place->note : stored_note(sk, 0);
}

/* Without an exchange, which takes Linux 5.12: of two that come at the same time one has it, or neither. */
static __always_inline bool claim(struct place *place)
{
	if (READ_ONCE(place->claims))
		return false;
	__sync_fetch_and_add(&place->claims, 1);
	if (READ_ONCE(place->claims) == 1)
		return true;
	__sync_fetch_and_add(&place->claims, -1);
	return false;
}

/* A note that says nothing, instead of the one that there may be. It has to be forgotten. */
static __always_inline struct note *note_connection(void *sk)
{
	struct place *place = place_of(sk);
	bool has_place = place->socket == (__u64)sk || claim(place);
	struct note *note = has_place ? &place->note : stored_note(sk, BPF_SK_STORAGE_GET_F_CREATE);

	if (!note)
		return NULL;
	__builtin_memset(note, 0, sizeof(*note));
	if (has_place)
		WRITE_ONCE(place->socket, (__u64)sk);
	return note;
}

static __always_inline void forget_connection(const void *sk)
{
	struct place *place = place_of(sk);

	if (place->socket != (__u64)sk)
		return;
	WRITE_ONCE(place->socket, 0);
	__sync_fetch_and_add(&place->claims, -1);
}
