/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The flow probe for kernels whose values are short: see table.h. */
#define TABLES_BY_KEY
#include "flows.bpf.c"
