/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The flow probe for observation points that are joined: see draw.h. */
#define DRAW_BY_CONTENT
#include "flows.bpf.c"
