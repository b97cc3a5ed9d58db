/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The processes probe: what processes run, and where their control groups lie, told as it happens, so that it is
 * known of those that are gone as well. Nothing of it runs for a packet, nor for a system call other than fork,
 * execve and exit.
 */
#include <weir/process.h>

#define LONGEST_NAME 256
#define MOST_PARTS 48

struct linux_binprm;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22); /* twelve thousand short lives */
} process_events SEC(".maps");

/* An event that is being put together. */
struct draft {
	struct process_event event;
	char text[LONGEST_PATH + LONGEST_ARGUMENTS];
	__u32 busy;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct draft);
} drafts SEC(".maps");

/* What the ring had no room for. */
__u64 lost_process_events;

/* Whether command lines are wanted at all. */
const volatile __u32 with_arguments;

static __always_inline void lose(void)
{
	__sync_fetch_and_add(&lost_process_events, 1);
}

/* Where tracepoints can be preempted, another one may have the draft of this CPU. */
static __always_inline struct draft *take_draft(void)
{
	__u32 first = 0;
	struct draft *draft = bpf_map_lookup_elem(&drafts, &first);

	if (!draft || READ_ONCE(draft->busy)) {
		lose();
		return NULL;
	}
	WRITE_ONCE(draft->busy, 1);
	__builtin_memset(&draft->event, 0, sizeof(draft->event));
	return draft;
}

static __always_inline void send(struct draft *draft, __u64 text)
{
	if (text > sizeof(draft->text))
		text = sizeof(draft->text);
	if (bpf_ringbuf_output(&process_events, draft, sizeof(draft->event) + text, BPF_RB_NO_WAKEUP))
		lose();
	WRITE_ONCE(draft->busy, 0);
}

static __always_inline void describe(struct process_event *event, struct task_struct *task)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	event->pid = BPF_CORE_READ(task, tgid);
	event->started = BPF_CORE_READ(leader, start_boottime);
	event->program = BPF_CORE_READ(leader, self_exec_id);
	event->parent = BPF_CORE_READ(leader, real_parent, tgid);
}

static __always_inline struct mount *mount_of(struct vfsmount *mount)
{
	return (void *)mount - bpf_core_field_offset(struct mount, mnt);
}

/* The parts of a file's path, the last one first: how many bytes. bpf_d_path() is not for tracepoints. */
static __always_inline __u64 put_path(char *text, struct file *file)
{
	struct mount *mount = mount_of(BPF_CORE_READ(file, f_path.mnt));
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	__u64 length = 0;

	for (int part = 0; part < MOST_PARTS; part++) {
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
		const unsigned char *name;
		__u64 place = length;
		long bytes;

		if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
			struct mount *below = BPF_CORE_READ(mount, mnt_parent);

			if (below == mount)
				break;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = below;
			continue;
		}
		name = BPF_CORE_READ(dentry, d_name.name);
		/* A copy, tested where it is used: old verifiers do not know that what lies on the stack was tested,
		 * too. */
		asm volatile("" : "+r"(place));
		if (place > LONGEST_PATH - LONGEST_NAME)
			break;
		bytes = bpf_probe_read_kernel_str(text + place, LONGEST_NAME, name);
		if (bytes <= 0 || bytes > LONGEST_NAME)
			break;
		length = place + bytes;
		if (parent == dentry) /* a file without a place, of memfd_create(2) */
			break;
		dentry = parent;
	}
	return length;
}

/* The arguments, behind what is there: how many bytes. They were written a moment ago, so they are in memory. */
static __always_inline __u64 put_arguments(char *text, __u64 behind, struct task_struct *task)
{
	__u64 start = BPF_CORE_READ(task, mm, arg_start);
	__u64 length = BPF_CORE_READ(task, mm, arg_end) - start;

	if (!with_arguments || behind > LONGEST_PATH)
		return 0;
	if (length > LONGEST_ARGUMENTS)
		length = LONGEST_ARGUMENTS;
	return bpf_probe_read_user(text + behind, length, (void *)start) ? 0 : length;
}

SEC("tp_btf/sched_process_exec")
int weir_became(__u64 *arguments)
{
	struct task_struct *task = (struct task_struct *)arguments[0];
	struct draft *draft = take_draft();
	__u64 path;

	if (!draft)
		return 0;
	describe(&draft->event, task);
	draft->event.change = PROCESS_BECAME;
	path = put_path(draft->text, BPF_CORE_READ(task, mm, exe_file));
	draft->event.path = path;
	send(draft, path + put_arguments(draft->text, path, task));
	return 0;
}

static __always_inline void tell(const struct process_event *event)
{
	if (bpf_ringbuf_output(&process_events, (void *)event, sizeof(*event), BPF_RB_NO_WAKEUP))
		lose();
}

SEC("tp_btf/sched_process_fork")
int weir_copied(__u64 *arguments)
{
	struct task_struct *parent = (struct task_struct *)arguments[0];
	struct task_struct *child = (struct task_struct *)arguments[1];
	struct process_event event = { .change = PROCESS_COPIED };

	/* A thread is not a process, and the kernel's own run nothing. */
	if (BPF_CORE_READ(child, pid) != BPF_CORE_READ(child, tgid) || BPF_CORE_READ(child, flags) & IS_KERNEL_THREAD)
		return 0;
	describe(&event, child);
	event.parent = BPF_CORE_READ(parent, tgid);
	event.origin = BPF_CORE_READ(parent, group_leader, start_boottime);
	tell(&event);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int weir_ended(__u64 *arguments)
{
	struct task_struct *task = (struct task_struct *)arguments[0];
	struct process_event event = { .change = PROCESS_ENDED };

	/* With its last thread. */
	if (BPF_CORE_READ(task, signal, live.counter) || BPF_CORE_READ(task, flags) & IS_KERNEL_THREAD)
		return 0;
	describe(&event, task);
	tell(&event);
	return 0;
}

/* The default hierarchy is number 0. */
static __always_inline bool is_default(struct cgroup *group)
{
	return !BPF_CORE_READ(group, root, hierarchy_id);
}

SEC("tp_btf/cgroup_mkdir")
int weir_group_made(__u64 *arguments)
{
	struct cgroup *group = (struct cgroup *)arguments[0];
	struct draft *draft;
	long length;

	if (!is_default(group))
		return 0;
	draft = take_draft();
	if (!draft)
		return 0;
	draft->event.change = GROUP_MADE;
	draft->event.origin = BPF_CORE_READ(group, kn, id);
	length = bpf_probe_read_kernel_str(draft->text, LONGEST_PATH, (void *)arguments[1]);
	if (length < 0 || length > LONGEST_PATH)
		length = 0;
	draft->event.path = length;
	send(draft, length);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int weir_group_gone(__u64 *arguments)
{
	struct cgroup *group = (struct cgroup *)arguments[0];
	struct process_event event = { .change = GROUP_GONE };

	if (!is_default(group))
		return 0;
	event.origin = BPF_CORE_READ(group, kn, id);
	tell(&event);
	return 0;
}

/* bpf_probe_read_kernel() is for GPL-compatible programs. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
