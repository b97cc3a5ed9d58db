/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* CO-RE: what the probes read of processes, wherever the running kernel keeps it. */
#pragma once
#include "record.h"

#define IS_KERNEL_THREAD 0x00200000 /* PF_KTHREAD */

typedef struct {
	unsigned int val;
} __attribute__((preserve_access_index)) kuid_t;

struct cred {
	kuid_t uid;
} __attribute__((preserve_access_index));

struct kernfs_node {
	__u64 id;
} __attribute__((preserve_access_index));

struct cgroup_root {
	int hierarchy_id;
} __attribute__((preserve_access_index));

struct cgroup {
	struct kernfs_node *kn;
	struct cgroup_root *root;
} __attribute__((preserve_access_index));

struct css_set {
	struct cgroup *dfl_cgrp;
} __attribute__((preserve_access_index));

struct task_struct {
	unsigned int flags;
	int tgid;
	int pid;
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	struct mm_struct *mm;
	struct signal_struct *signal;
	__u64 start_boottime;
	__u64 self_exec_id; /* 32 bits before 5.7 */
	const struct cred *cred;
	struct css_set *cgroups;
	char comm[16];
} __attribute__((preserve_access_index));

struct qstr {
	const unsigned char *name;
} __attribute__((preserve_access_index));

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
} __attribute__((preserve_access_index));

struct vfsmount {
	struct dentry *mnt_root;
} __attribute__((preserve_access_index));

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
} __attribute__((preserve_access_index));

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
} __attribute__((preserve_access_index));

struct super_block {
	unsigned long s_magic;
} __attribute__((preserve_access_index));

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
} __attribute__((preserve_access_index));

struct file {
	struct path f_path;
	struct inode *f_inode;
	void *private_data;
} __attribute__((preserve_access_index));

struct mm_struct {
	struct file *exe_file;
	unsigned long arg_start;
	unsigned long arg_end;
} __attribute__((preserve_access_index));

typedef struct {
	int counter;
} __attribute__((preserve_access_index)) atomic_t;

struct signal_struct {
	atomic_t live; /* threads */
} __attribute__((preserve_access_index));

/* `task` is one whose type the verifier knows: it is read like any other memory, a probe read costs ten times as much.
 */
static __always_inline void describe_owner(struct socket_owner *owner, struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;

	owner->pid = task->tgid;
	owner->parent = leader->real_parent->tgid;
	owner->program = leader->self_exec_id;
	owner->started = leader->start_boottime;
	owner->cgroup = task->cgroups->dfl_cgrp->kn->id;
	owner->user_id = task->cred->uid.val;
	owner->is_kernel = !!(task->flags & IS_KERNEL_THREAD);
	owner->padding = 0;
	bpf_core_read(owner->command, sizeof(owner->command), &leader->comm);
}
