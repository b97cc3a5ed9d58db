/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The drops probe: packets that the kernel throws away, why, where and whose. Nothing of it runs for a packet that gets
 * through. They are counted here, so that a million drops a second cost no more memory and wake-ups than one.
 */
#include <weir/drop.h>

/* Flows with their reasons, in each of two generations: see user space. */
#define FLOWS 32768
/* Reasons and places alone, for what has no room there. */
#define PLACES 1024

#define HASH(name, entries)                       \
	struct {                                  \
		__uint(type, BPF_MAP_TYPE_HASH);  \
		__uint(max_entries, entries);     \
		__type(key, struct drop_key);     \
		__type(value, struct drop_count); \
	} name SEC(".maps")

HASH(flows_even, FLOWS);
HASH(flows_odd, FLOWS);
HASH(places_even, PLACES);
HASH(places_odd, PLACES);

/* The generation that counts, in the lowest bit. */
__u32 epoch;
/* Elements that were added to each generation. */
__u32 used_even;
__u32 used_odd;
/* Packets that neither hash had room for. */
__u64 lost_drops;

/* How many arguments the tracepoint has here: the reason is the third one (5.17), the socket the fourth (6.11). */
const volatile __u32 arguments_known;

static __always_inline struct drop_count *find(void *map, const struct drop_key *key, __u32 *used)
{
	struct drop_count nothing = {}, *count = bpf_map_lookup_elem(map, key);

	if (count)
		return count;
	if (!bpf_map_update_elem(map, key, &nothing, BPF_NOEXIST))
		__sync_fetch_and_add(used, 1);
	/* It may be another CPU that has added it. */
	return bpf_map_lookup_elem(map, key);
}

static __always_inline void forget_flow(struct drop_key *key)
{
	__builtin_memset(key->source, 0, sizeof(key->source));
	__builtin_memset(key->destination, 0, sizeof(key->destination));
	key->source_port = key->destination_port = 0;
	key->protocol = 0;
	key->marks = DROP_FLOWLESS | (key->marks & DROP_OUTGOING);
}

/* `used` is counted after the element is there: user space looks at it when nobody is in here any more. */
static __always_inline void add(struct drop_key *key, const struct drop_count *more, bool odd)
{
	__u32 *used = odd ? &used_odd : &used_even;
	struct drop_count *count;

	count = odd ? find(&flows_odd, key, used) : find(&flows_even, key, used);
	if (!count) {
		forget_flow(key);
		count = odd ? find(&places_odd, key, used) : find(&places_even, key, used);
	}
	if (!count) {
		__sync_fetch_and_add(&lost_drops, more->packets);
		return;
	}
	__sync_fetch_and_add(&count->packets, more->packets);
	__sync_fetch_and_add(&count->bytes, more->bytes);
}

/* Linux 6.14. */
enum skb_drop_reason {
	SKB_DROP_REASON_QUEUE_PURGE = 104,
};

/*
 * A segment of TCP without data in the queue of a socket that closes: TCP has heard what it says, and has taken its
 * header off. Whoever closes a connection first has one in the end, the FIN of the other side: that is no loss.
 */
static __always_inline bool was_heard(const struct drop_key *key, const struct sk_buff___dropped *skb)
{
	return !skb->len && key->protocol == PROTOCOL_TCP &&
	       bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_QUEUE_PURGE) &&
	       key->reason == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_QUEUE_PURGE);
}

SEC("tp_btf/kfree_skb")
int weir_dropped(__u64 *arguments)
{
	struct sk_buff___dropped *skb = (struct sk_buff___dropped *)arguments[0];
	struct drop_count more = {};
	struct drop_key key = {};
	struct sock *receiver = NULL;

	key.location = arguments[1];
	if (arguments_known >= 3)
		key.reason = arguments[2];
	if (arguments_known >= 4)
		receiver = (struct sock *)arguments[3];
	if (!describe_packet(&key, &more, skb) || was_heard(&key, skb))
		return 0;
	describe_place(&key, skb, receiver);
	add(&key, &more, READ_ONCE(epoch) & 1);
	return 0;
}

/* bpf_probe_read_kernel() is for GPL-compatible programs. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
