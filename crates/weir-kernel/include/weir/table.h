/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tables: rows of one kind in one run, which user space sizes before load and maps too.
 *
 *   TABLE(entries, flow_entry)        declares one
 *   entries_at(number)                is its row of that number, or none
 *
 * A table is one value of an array map, and its address a constant of the program: a row costs a comparison and a
 * shift. In an array of rows it costs a lookup: the number goes through the stack and is compared, and so is what
 * comes back. Kernels whose values end at 4 MiB (KMALLOC_MAX_SIZE) get that: TABLES_BY_KEY.
 */
#pragma once
#include "kernel.h"

#ifdef TABLES_BY_KEY

#define TABLE(name, row)                                        \
	struct {                                                \
		__uint(type, BPF_MAP_TYPE_ARRAY);               \
		__uint(map_flags, BPF_F_MMAPABLE);              \
		__uint(max_entries, 1);                         \
		__type(key, __u32);                             \
		__type(value, struct row);                      \
	} name SEC(".maps");                                    \
                                                                \
	static __always_inline struct row *name##_at(__u32 key) \
	{                                                       \
		return bpf_map_lookup_elem(&name, &key);        \
	}

#else

/*
 * The first barriers keep clang from adding first and comparing the sum: the verifier would not know how far into the
 * table that is. The last one keeps it from adding anew for each field of the row.
 */
#define TABLE(name, row)                                           \
	struct row name[1] SEC(".data." #name);                    \
	const volatile __u32 name##_count = 1;                     \
                                                                   \
	static __always_inline struct row *name##_at(__u64 number) \
	{                                                          \
		struct row *first = name;                          \
                                                                   \
		barrier_var(first);                                \
		barrier_var(number);                               \
		if (number >= name##_count)                        \
			return NULL;                               \
		barrier_var(number);                               \
		first += number;                                   \
		barrier_var(first);                                \
		__builtin_assume(first);                           \
		return first;                                      \
	}

#endif
