//! Arithmetic of cells of the ledger.

use crate::LedgerCell;
use std::array::from_fn;
use std::ops::AddAssign;

/// Numbers in a cell.
pub const NUMBERS: usize = 16;

macro_rules! numbers {
    ($($field:ident,)*) => {
        impl LedgerCell {
            /// All its numbers, in their order.
            pub fn numbers(&self) -> [u64; NUMBERS] {
                let Self { $($field),* } = *self;
                [$($field),*]
            }

            /// One with these numbers.
            pub fn of([$($field),*]: [u64; NUMBERS]) -> Self {
                Self { $($field),* }
            }
        }
    };
}

numbers! {
    seen_packets,
    seen_bytes,
    filtered_packets,
    filtered_bytes,
    sampled_out_packets,
    sampled_out_bytes,
    lost_spill_packets,
    lost_spill_bytes,
    nested_packets,
    nested_bytes,
    nested_filtered_packets,
    nested_filtered_bytes,
    nested_sampled_out_packets,
    nested_sampled_out_bytes,
    lost_nested_packets,
    lost_nested_bytes,
}

impl LedgerCell {
    /// What was added since it was `before`.
    pub fn since(&self, before: &Self) -> Self {
        let (now, before) = (self.numbers(), before.numbers());
        Self::of(from_fn(|at| now[at].saturating_sub(before[at])))
    }
}

impl AddAssign<&LedgerCell> for LedgerCell {
    fn add_assign(&mut self, other: &LedgerCell) {
        let (one, other) = (self.numbers(), other.numbers());
        *self = Self::of(from_fn(|at| one[at].saturating_add(other[at])));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_their_places() {
        let cell = LedgerCell::of(from_fn(|at| at as u64 + 1));
        assert_eq!((cell.seen_packets, cell.filtered_packets, cell.lost_nested_bytes), (1, 3, 16));
        let mut sum = cell;
        sum += &cell;
        assert_eq!((sum.since(&cell), sum.numbers()[7]), (cell, 16));
    }
}
