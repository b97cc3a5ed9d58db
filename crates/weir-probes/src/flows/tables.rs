//! How the programs come by a row of a table (`weir/table.h`).

use super::layout::Layout;

/// From here on the verifier does not follow an address into a value (`BPF_MAX_VAR_OFF`).
const REACH: u64 = 1 << 29;

/// How a row of a table is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    /// A table is one long value, and its address a constant of the program.
    ByAddress,
    /// A table is an array of rows, each looked up by its number.
    ByKey,
}

impl Tables {
    /// What this kernel is trusted with. Values longer than 4 MiB came after Linux 6.1, and only from 6.12 on the
    /// programs were proved to count exactly with them (`scripts/kernels/run`).
    pub fn here() -> Self {
        if weir_kernel::feature::is_at_least(6, 12) { Self::ByAddress } else { Self::ByKey }
    }

    /// The same, if all tables of this layout are within reach; else by key.
    pub(super) fn for_layout(self, layout: &Layout) -> Self {
        if layout.longest_table() < REACH { self } else { Self::ByKey }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::Demand;

    fn of(budget: u64, interfaces: u32) -> Tables {
        let demand = Demand { tables: Tables::ByAddress, interfaces, ..Demand::one_interface(budget, 64) };
        Layout::new(demand).expect("there is room").tables
    }

    #[test]
    fn long_tables_are_reached_by_key() {
        assert_eq!(of(64 << 20, 1), Tables::ByAddress);
        assert_eq!(of(4 << 30, 1), Tables::ByKey);
    }

    #[test]
    fn a_ledger_of_many_interfaces_is_one_of_them() {
        assert_eq!(of(600 << 20, 1), Tables::ByAddress);
        assert_eq!(of(600 << 20, 17_000), Tables::ByKey);
    }
}
