/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* CO-RE: what the sockets probe reads of sockets, wherever the running kernel keeps it. */
#pragma once
#include "address.h"
#include "process.h"

#define FAMILY_IPV4 2
#define FAMILY_IPV6 10
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define TYPE_STREAM 1 /* SOCK_STREAM */
#define TYPE_RAW 3 /* SOCK_RAW */

/* include/net/tcp_states.h */
#define STATE_ESTABLISHED 1
#define STATE_SYN_SENT 2
#define STATE_SYN_RECEIVED 3
#define STATE_CLOSE 7
#define STATE_LISTEN 10

struct in6_addr {
	union {
		__be32 u6_addr32[4];
	} in6_u;
} __attribute__((preserve_access_index));

struct sock_common {
	unsigned short skc_family;
	volatile unsigned char skc_state;
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num; /* the local port, as the host has it */
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
} __attribute__((preserve_access_index));

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol; /* a bit field before 5.6 */
	__u16 sk_type;
} __attribute__((preserve_access_index));

struct inet_sock {
	__be16 inet_sport; /* stays when skc_num has been given back */
} __attribute__((preserve_access_index));

struct socket {
	struct sock *sk;
} __attribute__((preserve_access_index));

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
} __attribute__((preserve_access_index));

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
} __attribute__((preserve_access_index));

#define SOCKFS_MAGIC 0x534f434b /* include/uapi/linux/magic.h: the file system that sockets are files of */

/* What bpf_sock_from_file() does, for kernels before 5.11, and for a file that the verifier does not know. */
static __always_inline struct socket *socket_of_file(struct file *file)
{
	if (BPF_CORE_READ(file, f_inode, i_sb, s_magic) != SOCKFS_MAGIC)
		return NULL;
	return BPF_CORE_READ(file, private_data);
}

static __always_inline void copy_ipv6(__u64 *to, const struct in6_addr *address)
{
	__be32 *words = (__be32 *)to;

#pragma unroll
	for (int i = 0; i < 4; i++)
		words[i] = address->in6_u.u6_addr32[i];
}

/* As with describe_owner(), `common` is one whose type the verifier knows. False: it is of neither family. */
static __always_inline bool copy_addresses(__u64 *local, __u64 *remote, const struct sock_common *common)
{
	__u16 family = common->skc_family;

	if (family == FAMILY_IPV4) {
		map_ipv4(local, common->skc_rcv_saddr);
		map_ipv4(remote, common->skc_daddr);
	} else if (family == FAMILY_IPV6) {
		copy_ipv6(local, &common->skc_v6_rcv_saddr);
		copy_ipv6(remote, &common->skc_v6_daddr);
	} else {
		return false;
	}
	return true;
}

/* The ends, but for the local port. */
static __always_inline bool describe_ends(struct socket_event *event, const struct sock_common *common)
{
	if (!copy_addresses(event->local, event->remote, common))
		return false;
	event->netns = common->skc_net.net->ns.inum;
	event->remote_port = bpf_ntohs(common->skc_dport);
	event->padding = 0;
	event->life = 0;
	return true;
}

static __always_inline bool describe_socket(struct socket_event *event, struct sock *sk)
{
	if (!describe_ends(event, &sk->__sk_common))
		return false;
	event->socket = (__u64)sk;
	event->local_port = bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
	event->protocol = sk->sk_protocol;
	event->is_raw = sk->sk_type == TYPE_RAW;
	return true;
}
