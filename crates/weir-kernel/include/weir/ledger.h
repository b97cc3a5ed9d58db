/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel half of the ledger: what was seen, and what was lost on the way, per observation point. */
#pragma once
#include "record.h"
#include "table.h"

TABLE(ledger, ledger_cell) /* parts * points */

static __always_inline struct ledger_cell *ledger_of(const struct part_state *part, __u32 point)
{
	return ledger_at(part->first_cell + point);
}
