/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The holders probe: which processes have which sockets open. Nothing of it is attached anywhere: it runs when it is
 * read, once for each open file of the host.
 */
#include <weir/socket.h>

static __always_inline bool is_of_the_internet(struct file *file)
{
	struct socket *socket = socket_of_file(file);
	__u16 family;

	if (!socket)
		return false;
	family = BPF_CORE_READ(socket, sk, __sk_common.skc_family);
	return family == FAMILY_IPV4 || family == FAMILY_IPV6;
}

SEC("iter/task_file")
int weir_holders(struct bpf_iter__task_file *context)
{
	struct task_struct *task = context->task;
	struct file *file = context->file;
	struct socket_holder holder = {};

	if (!task || !file || !is_of_the_internet(file))
		return 0;
	holder.inode = BPF_CORE_READ(file, f_inode, i_ino);
	describe_owner(&holder.owner, task);
	bpf_seq_write(context->meta->seq, &holder, sizeof(holder));
	return 0;
}

/* bpf_probe_read_kernel() is for GPL-compatible programs. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
