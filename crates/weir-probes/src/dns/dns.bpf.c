/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The DNS probe: answers as they are delivered to sockets, whatever network namespace those are in. It hangs on the
 * root of the control groups: what is forwarded never gets here, and what nobody waits for does not either.
 */
#include <weir/record.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 21); /* 1400 messages */
} answers SEC(".maps");

/* What the ring had no room for. */
__u64 lost_answers;

/* The ports that servers answer from, sixteen bits each. */
const volatile __u64 dns_ports;

#define PROTOCOL_UDP 17
#define UDP_HEADER 8
#define IPV4_HEADER 20 /* without options */
#define IPV6_HEADER 40

/* In the third byte of a message: it is an answer. */
#define DNS_ANSWER 0x80

static __always_inline bool is_dns_port(__u16 port)
{
	return port == (__u16)dns_ports || port == (__u16)(dns_ports >> 16) || port == (__u16)(dns_ports >> 32) ||
	       port == (__u16)(dns_ports >> 48);
}

/*
 * Where the message begins in the packet; 0 if it is none. A packet that has come so far has its headers in the linear
 * part. Behind extension headers nothing is looked for.
 */
static __always_inline __u32 find_message(struct __sk_buff *skb)
{
	__u8 *start = (__u8 *)(long)skb->data, *end = (__u8 *)(long)skb->data_end;
	__u32 offset;
	__u8 protocol;

	if (start + IPV4_HEADER + UDP_HEADER > end)
		return 0;
	if (start[0] >> 4 == 4) {
		protocol = start[9];
		offset = (start[0] & 0x0f) * 4;
	} else {
		protocol = start[6];
		offset = IPV6_HEADER;
	}
	if (protocol != PROTOCOL_UDP || start + offset + UDP_HEADER > end)
		return 0;
	return is_dns_port(bpf_ntohs(*(__be16 *)(start + offset))) ? offset + UDP_HEADER : 0;
}

static __always_inline void tell(struct __sk_buff *skb, __u32 offset)
{
	__u32 length = skb->len - offset;
	struct dns_message *message;
	__u8 header[DNS_HEADER];

	if (bpf_skb_load_bytes(skb, offset, header, sizeof(header)) || !(header[2] & DNS_ANSWER))
		return;
	message = bpf_ringbuf_reserve(&answers, sizeof(*message), 0);
	if (!message) {
		__sync_fetch_and_add(&lost_answers, 1);
		return;
	}
	message->time = bpf_ktime_get_ns();
	message->length = length;
	message->padding = 0;
	/*
	 * It is as long as its header, which was read. Verifiers before Linux 6.2 want each bound in a test of its own,
	 * of which the compiler would make one.
	 */
	if (length < DNS_HEADER)
		length = DNS_HEADER;
	asm volatile("" : "+r"(length));
	if (length > DNS_BYTES)
		length = DNS_BYTES;
	bpf_skb_load_bytes(skb, offset, message->bytes, length);
	bpf_ringbuf_submit(message, BPF_RB_NO_WAKEUP);
}

SEC("cgroup_skb/ingress")
int weir_answers(struct __sk_buff *skb)
{
	__u32 offset = find_message(skb);

	if (offset)
		tell(skb, offset);
	return 1; /* as before */
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
