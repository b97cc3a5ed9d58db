/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel side and user space share. The Rust twins are generated from the BTF
 * of these very types (weir-kernel/src/twins.rs); sizes are pinned below.
 */
#pragma once
#include "kernel.h"

/* flow_entry.link: the outer VLAN id in bits 0..11, then these. */
#define LINK_VLAN_ID 0x0fff
#define LINK_VLAN 0x1000 /* a tag is there (id 0 is a tag too: 802.1p) */
#define LINK_IPV4 0x2000
#define LINK_IPV6 0x4000 /* neither: a flow by ethertype, held in source_port */
#define LINK_PORTS 0x8000 /* ports, or ICMP type and code, were read from the packet */

/* flow_entry.tcp_flags: flags in bits 0..11, one bit per ECN codepoint seen above them. */
#define ECN_SEEN_SHIFT 12

/* flow_entry.marks; one more in dns_ports.h */
#define FRAGMENT_SEEN 0x01 /* the flow holds at least one fragment */
#define FRAGMENT_ORPHAN 0x02 /* a later fragment whose first one was not seen: no ports */
#define SYN_SEEN 0x04 /* a SYN without ACK: who sent it opened the connection */
#define SYN_ACK_SEEN 0x08 /* a SYN with ACK: who received it did */

/*
 * One flow on one CPU in one generation: key and counters in one cache line.
 * An IPv6 flow keeps a 64-bit hash in `addresses`, and both addresses in the
 * flow_addresses element of the same number.
 */
struct flow_entry {
	__u64 addresses; /* IPv4: source in the low half, destination in the high half */
	__be16 source_port;
	__be16 destination_port;
	__u16 point; /* observation point */
	__u16 link;
	__u8 protocol;
	__u8 dscp; /* of the first packet */
	__u8 min_ttl;
	__u8 max_ttl;
	__u16 tcp_flags;
	__u8 marks;
	__u8 rate; /* number of the sampling rate, in the rules of this generation */
	__u64 packets;
	__u64 bytes;
	__u32 first; /* low half of ticks() */
	__u32 last;
	__u32 min_length;
	__u32 max_length;
	__u64 dscp_seen; /* one bit per DSCP value */
};

struct flow_addresses {
	__u64 source[2];
	__u64 destination[2];
};

/* A tick of the fine clock is 2^16 ns, 65.536 us: 32 bits of them come round after 78 hours. */
#define FINE_TICK_BITS 16

/*
 * Sixteen ways of the index: a fingerprint above, 1 + the entry's number below; 0 is free. Between them, whether each
 * of the flow's packets has to see its entry: they are DNS, it began with a handshake, or another flow of the bucket
 * has the same fingerprint.
 */
#define BUCKET_WAYS 16
#define TAG_ENTRY_BITS 20
#define TAG_ENTRY_MASK ((1U << TAG_ENTRY_BITS) - 1)
#define TAG_WATCHED (1U << TAG_ENTRY_BITS)
#define TAG_FINGERPRINT (~(TAG_ENTRY_MASK | TAG_WATCHED))

struct flow_bucket {
	__u32 tags[BUCKET_WAYS];
};

/* One CPU's part of every level, in one generation. Where it begins is set once, by user space. */
struct part_state {
	__u32 busy; /* set while a packet is on its way through: a part has one writer */
	__u32 rule_words; /* words of a rule_set that are in use; 0: every packet is counted */
	__u32 used; /* entries handed out */
	__u32 hand; /* which way gives way next */
	__u32 first_entry;
	__u32 first_bucket;
	__u32 first_cell; /* of the ledger */
	__u32 rules_sample; /* some rule takes one packet in so many */
	__u32 cpu; /* whose it is; the first one's serves CPUs that have none */
	__u32 first_burst;
	__u32 burst; /* packets of it that wait for the others */
	__u32 padding[5];
};

/* An aggregate that left the flow hash early, or found no place in it. */
struct spill_record {
	__u32 epoch;
	__u32 padding;
	__u64 parent; /* as in `parents` */
	struct flow_entry entry;
	struct flow_addresses addresses;
};

/* Packets that wait for each other, at most, before they are added to their flows. */
#define BURST 16

/* One of them. */
struct burst_packet {
	struct flow_entry entry; /* as if it were the only one of its flow */
	struct flow_addresses addresses; /* IPv6 only */
	__u32 number; /* of its flow's entry, as far as the tag says */
	__u32 tag; /* where that is: the bucket's number * BUCKET_WAYS + its way */
	__u32 epoch;
	__u32 padding;
};

/*
 * The ledger's kernel half: per generation, CPU and observation point.
 * `nested_*` are atomic: they are written by whoever finds the CPU busy.
 */
struct ledger_cell {
	__u64 seen_packets;
	__u64 seen_bytes;
	__u64 filtered_packets; /* denied by a rule */
	__u64 filtered_bytes;
	__u64 sampled_out_packets; /* allowed by a rule that takes one in N, and not that one */
	__u64 sampled_out_bytes;
	__u64 lost_spill_packets; /* victims that the spill ring had no room for */
	__u64 lost_spill_bytes;
	__u64 nested_packets; /* seen too, but past a busy CPU */
	__u64 nested_bytes;
	__u64 nested_filtered_packets;
	__u64 nested_filtered_bytes;
	__u64 nested_sampled_out_packets;
	__u64 nested_sampled_out_bytes;
	__u64 lost_nested_packets; /* nested packets that the spill ring had no room for */
	__u64 lost_nested_bytes;
};

/* How the frames of an interface begin. */
enum link_layer {
	LINK_LAYER_ETHERNET = 0,
	LINK_LAYER_NONE = 1, /* tun, wireguard, PPP, IP tunnels: the network header comes first */
};

/* An interface's number is unique in its network namespace only. */
struct interface_key {
	__u32 netns; /* inode; 0: the agent's own */
	__u32 ifindex;
};

struct interface_entry {
	__u16 point; /* of ingress; egress is the next one. 0: not ours */
	__u16 inner_point; /* the same for what tunnels carry; 0: left alone */
	__u8 link_layer;
	__u8 padding[3];
};

/*
 * The rules of one generation. Each dimension of a packet's key leads to a set of rows; the
 * first row that is in all of them decides. What leads from a value to its set is a trie
 * that takes one byte a step, like the page tables of a CPU.
 */
#define RULE_WORDS 16
#define RULE_ROWS 1024

struct rule_head {
	__u32 dimensions; /* RULE_SOURCE … that some row looks at */
	__u32 address4; /* blocks where the tries begin */
	__u32 address6;
	__u32 transport; /* ports, or ICMP type and code */
	__u32 network; /* family, then protocol or ethertype */
	__u32 vlan;
	__u32 no_address; /* the set for packets without addresses */
	__u32 padding;
};

#define RULE_SOURCE 0x01
#define RULE_DESTINATION 0x02
#define RULE_FIRST 0x04 /* source port or ICMP type */
#define RULE_SECOND 0x08 /* destination port or ICMP code */
#define RULE_NETWORK 0x10
#define RULE_VLAN 0x20
#define RULE_POINT 0x40

#define RULE_BLOCK 0x8000 /* on to this block; otherwise this is the number of a set */

struct rule_block {
	__u16 next[256];
};

/*
 * Set 0 holds all rows, for the dimensions that no row looks at. Sources and destinations have a set each, one
 * after the other.
 */
struct rule_set {
	__u64 rows[RULE_WORDS];
};

struct rule_point {
	__u32 set;
	__u32 padding;
};

struct rule_action {
	__u32 one_in; /* 0: deny; 1: allow; N: take one in N */
	__u32 rate; /* number of N among the rates */
};

/* Fragments of one datagram. `protocol` is the one that the fragments name: an extension header may follow it. */
struct fragment_key {
	__u64 source[2];
	__u64 destination[2];
	__u32 id;
	__u16 point;
	__u8 protocol;
	__u8 padding;
};

/* What only the first fragment tells of the flow. */
struct fragment_origin {
	__be16 source_port;
	__be16 destination_port;
	__u32 seen; /* low half of ticks() */
	__u8 protocol;
	__u8 padding[3];
};

/* The process that uses a socket. */
struct socket_owner {
	__u64 started; /* nanoseconds since boot: tells two processes of one number apart */
	__u64 cgroup; /* number in the default hierarchy */
	__u32 pid; /* of the process, not of the thread */
	__u32 parent; /* whose child it is */
	__u32 program; /* how often it, and those that it is a copy of, became another program */
	__u32 user_id;
	__u32 is_kernel; /* a thread of the kernel's own */
	__u32 padding;
	__u8 command[16]; /* ends with a zero */
};

/* socket_event.change */
#define SOCKET_USED 1 /* that process uses it */
#define SOCKET_LISTENS 2
#define SOCKET_CLOSED 3
#define SOCKET_FOUND 4 /* used for the first time, by that process: of a left_use */

/* Whose a socket is. Addresses as in IPv6: those of IPv4 are mapped into it. */
struct socket_event {
	__u64 socket; /* its number, as long as it is open */
	__u64 local[2];
	__u64 remote[2];
	__u32 netns; /* inode */
	__u16 local_port;
	__u16 remote_port; /* 0: not connected */
	struct socket_owner owner;
	__u8 protocol;
	__u8 change;
	__u8 is_raw; /* what it sends may be of another protocol */
	__u8 padding;
	__u32 life; /* tells apart what lay at one address, one after the other; 0: nobody counted */
};

/* Places of notes on sockets: for each there is a left_use. */
#define LEFT_USES 8192

/* The first use of a connection, for user space to find when it looks. */
struct left_use {
	__u64 serial; /* odd while it is written */
	struct socket_event event; /* without a change: it is over */
};

/* A process that has a socket among its open files. */
struct socket_holder {
	__u64 inode; /* the socket's, by which /proc and sock_diag call it */
	struct socket_owner owner;
};

/* call_event.call */
#define CALL_EXEC 1
#define CALL_BIND 2
#define CALL_CONNECT 3
#define CALL_ACCEPT 4

/* The process closed a socket while its connection was being asked for: ECANCELED. */
#define GIVEN_UP 125

/* What became of what a process asked for. */
struct call_event {
	__u64 time; /* nanoseconds of the monotonic clock */
	__u64 latency; /* since it was asked for */
	struct socket_event socket; /* and its user; of an exec there is only the user */
	__u32 error; /* errno; 0: it was granted */
	__u32 call;
};

/* retransmit_event.what */
#define RETRANSMIT_SYN 1
#define RETRANSMIT_SYN_ACK 2
#define RETRANSMIT_DATA 3

/* A segment that TCP sent again. */
struct retransmit_event {
	__u64 time; /* nanoseconds of the monotonic clock */
	struct socket_event socket; /* its user is told while it is not open yet: pid 0 else */
	__u32 bytes; /* of data */
	__u32 total; /* what the connection has sent again so far; 0: not known */
	__u32 state; /* include/net/tcp_states.h */
	__u32 what;
};

/* process_event.change */
#define PROCESS_COPIED 1 /* by fork(2): it runs what `origin` runs */
#define PROCESS_BECAME 2 /* by execve(2); text follows */
#define PROCESS_ENDED 3
#define GROUP_MADE 4 /* its path follows */
#define GROUP_GONE 5

/* A path of the default hierarchy is not longer, nor are the parts of an executable's together. */
#define LONGEST_PATH 1024
/* What is read of a command line. */
#define LONGEST_ARGUMENTS 4608

/*
 * What became of a process, or of a control group. Bytes may follow. Of an executable's path: its parts, the last one
 * first, each with a zero behind it. Then the arguments, as they lie in the process.
 */
struct process_event {
	__u64 started; /* as in socket_owner */
	__u64 origin; /* when the one that it is a copy of started, or a control group's number */
	__u32 pid;
	__u32 parent; /* whose copy or child it is */
	__u32 program; /* as in socket_owner */
	__u16 change;
	__u16 path; /* bytes of the path; those behind them are arguments */
};

/* What is copied of a payload, at most: what follows a payload_part is one of these long. */
#define PAYLOAD_LEAST 128
#define PAYLOAD_FEW 512
#define PAYLOAD_MANY 1472
#define PAYLOAD_MOST 4096

/* What a packet carries, as it crosses an interface: a datagram of UDP or a segment of TCP. Its first bytes follow. */
struct payload_part {
	__u64 time; /* nanoseconds of the monotonic clock */
	__u64 source[2]; /* as in socket_event */
	__u64 destination[2];
	__u32 netns; /* inode */
	__u32 ifindex;
	__u32 length; /* of all of it: more than follows where it was cut */
	__u32 sequence; /* of its first byte: TCP only */
	__u16 source_port;
	__u16 destination_port;
	__u16 segment; /* bytes of each datagram where several came as one packet (UDP) */
	__u8 protocol;
	__u8 tcp_flags;
	__u8 egress;
	__u8 is_first; /* a client's first message begins with it: hellos only */
	__u8 padding[6];
};

/* A handshake of TCP that this host has forwarded, both ways. */
struct handshake_event {
	__u64 client[2]; /* who asked; as in socket_event */
	__u64 server[2];
	__u64 client_rtt; /* nanoseconds from the interface towards the server to that end and back */
	__u64 server_rtt;
	__u32 netns; /* as in interface_key */
	__u16 client_port;
	__u16 server_port;
};

/* Of the frame that programs are run on by hand; IEEE's for local experiments. */
#define RUN_BY_HAND 0x88b5

/* drop_key.marks */
#define DROP_IP 0x01 /* addresses and protocol were read from the packet */
#define DROP_PORTS 0x02 /* ports, or ICMP type and code, too */
#define DROP_OUTGOING 0x04 /* it was on its way out of the interface */
#define DROP_FLOWLESS 0x08 /* there was no room for its flow: nothing of the packet is known */

/* What dropped packets have in common that are counted together. */
struct drop_key {
	__u64 source[2]; /* as in IPv6: addresses of IPv4 are mapped into it */
	__u64 destination[2];
	__u64 location; /* in the kernel's code */
	__u32 netns; /* inode; 0: unknown */
	__u32 ifindex; /* 0: unknown */
	__u32 reason; /* of enum skb_drop_reason, or of a subsystem's; 0: the kernel gives none */
	__u16 source_port; /* or ICMP type */
	__u16 destination_port; /* or ICMP code */
	__u16 ethertype;
	__u8 protocol;
	__u8 marks;
	__u32 padding;
};

struct drop_count {
	__u64 packets;
	__u64 bytes; /* from the network header on */
};

/* tcp_look.change */
#define TCP_LOOKED 1 /* it was there when it was looked at */
#define TCP_ENDED 2 /* its socket closes: this is the last that can be known of it */
#define TCP_RESET_SENT 3 /* a reset was sent from it */
#define TCP_REFUSED 4 /* a reset was sent to who has no connection here; ends, state and queue only */

/* tcp_look.marks */
#define TCP_OPENED 0x01 /* this end has asked for the connection; known where `handshake` is */
#define TCP_THROTTLED 0x02 /* what it sends waits in the queue of an interface of this host */
#define TCP_UNHELD 0x04 /* no process has it: not accepted yet, or closed already */
#define TCP_WINDOW_LIMITED 0x08 /* it would send more at once if the congestion window let it */
#define TCP_WAS_RESET 0x10 /* a reset has ended it */

/*
 * What TCP keeps of a connection, or of a socket that listens. Counts are of its whole life. Durations in
 * microseconds, `busy` and those below it in jiffies; 0 where there was none yet.
 */
struct tcp_look {
	__u64 socket; /* these six as in socket_event */
	__u64 local[2];
	__u64 remote[2];
	__u32 netns;
	__u16 local_port;
	__u16 remote_port;
	__u32 pid; /* the process that asked for the connection; 0: another end did, or not known */
	__u32 inode; /* of one that is looked at, as in socket_holder; 0: no process has it */
	__u64 time; /* nanoseconds of the monotonic clock */
	__u64 bytes_sent; /* those that were sent again, too */
	__u64 bytes_acknowledged;
	__u64 bytes_received;
	__u64 bytes_retransmitted;
	__u32 handshake;
	__u32 rtt; /* smoothed, in eighths */
	__u32 rtt_deviation; /* smoothed, in quarters */
	__u32 min_rtt; /* all ones: none yet */
	__u32 segments_sent; /* with data */
	__u32 segments_retransmitted;
	__u32 segments_lost;
	__u32 reordered; /* how often */
	__u32 out_of_order; /* segments that came too early */
	__u32 congestion_window; /* segments */
	__u32 slow_start_threshold;
	__u32 segment_size;
	__u32 delivered; /* segments, the last time that the rate was taken */
	__u32 delivered_in;
	__u32 busy; /* while there was something to send, but for the two below */
	__u32 receive_window_limited;
	__u32 send_buffer_limited;
	__u32 send_window; /* bytes: what the other end takes */
	__u32 receive_window;
	__u32 unsent; /* bytes, as those below */
	__u32 unacknowledged;
	__u32 unread;
	__u32 send_buffer;
	__u32 send_memory; /* what is queued takes so much of it */
	__u32 accept_queue; /* of one that listens: connections that wait to be accepted */
	__u32 accept_queue_room;
	__u32 syn_queue; /* connections whose handshake is under way */
	__u32 drops; /* packets that it did not take: of one that listens, for want of room */
	__u16 error; /* errno, what ended it */
	__u8 change;
	__u8 state; /* of one that ends, the one that it was in */
	__u8 retransmits; /* how often the same was sent again by now */
	__u8 probes; /* of a closed window, without an answer */
	__u8 marks;
	__u8 padding;
};

#define PIN_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type " changed size")
PIN_SIZE(flow_entry, 64);
PIN_SIZE(flow_addresses, 32);
PIN_SIZE(flow_bucket, 64);
PIN_SIZE(part_state, 64);
PIN_SIZE(spill_record, 112);
PIN_SIZE(burst_packet, 112);
PIN_SIZE(ledger_cell, 128);
PIN_SIZE(interface_key, 8);
PIN_SIZE(interface_entry, 8);
PIN_SIZE(rule_head, 32);
PIN_SIZE(rule_block, 512);
PIN_SIZE(rule_set, 128);
PIN_SIZE(rule_point, 8);
PIN_SIZE(rule_action, 8);
PIN_SIZE(socket_owner, 56);
PIN_SIZE(socket_event, 112);
PIN_SIZE(left_use, 120);
PIN_SIZE(socket_holder, 64);
PIN_SIZE(call_event, 136);
PIN_SIZE(retransmit_event, 136);
PIN_SIZE(process_event, 32);
PIN_SIZE(payload_part, 72);
PIN_SIZE(handshake_event, 56);
PIN_SIZE(drop_key, 64);
PIN_SIZE(drop_count, 16);
PIN_SIZE(fragment_key, 40);
PIN_SIZE(fragment_origin, 12);
PIN_SIZE(tcp_look, 216);
