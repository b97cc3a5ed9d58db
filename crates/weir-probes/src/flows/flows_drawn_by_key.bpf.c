/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Both: draw.h, table.h. */
#define DRAW_BY_CONTENT
#define TABLES_BY_KEY
#include "flows.bpf.c"
