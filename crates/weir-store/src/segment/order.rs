//! The order of rows in a row group: what is alike lies together, so that the file is small.
//!
//! A host does the same again and again. By time, every row differs from the one before in nearly everything; in this
//! order whole stretches of most columns are the same.

use super::gather::{Flat, Group};
use crate::Result;
use crate::table::Table;

/// Bits of each of the numbers by which rows are sorted; larger ones count as the largest.
const BITS: u32 = 48;

/// What a row is sorted by: what shall be the same, the numbers, what they add up to that come last.
type Key = (u128, u64);

/// All rows, by their places in the group. Those of a table of which nothing is looked at are in order of time.
pub(super) fn order(table: &Table, group: &Group<'_>) -> Result<Vec<u32>> {
    let mut keys: Vec<Key> = vec![(0, 0); group.rows];
    let layout = table.layout;
    let sorted = layout.sorted.iter().map(|name| (*name, BITS));
    for (name, bits) in layout.alike.iter().copied().chain(sorted) {
        keys.iter_mut().for_each(|key| key.0 <<= bits);
        each(group.named(name)?, |row, value| keys[row].0 |= u128::from(value.min((1 << bits) - 1)));
    }
    let last = if layout.then.is_empty() { &[table.time] } else { layout.then };
    for name in last {
        each(group.named(name)?, |row, number| keys[row].1 = keys[row].1.saturating_add(number));
    }
    let mut order: Vec<_> = keys.into_iter().zip(0_u32..).collect();
    order.sort_unstable();
    Ok(order.into_iter().map(|(_, row)| row).collect())
}

/// Each row's value as a number, where the column has any.
fn each(flat: Flat<'_>, mut take: impl FnMut(usize, u64)) {
    let values = match flat {
        Flat::Numbers(numbers) => numbers.values,
        Flat::Coded(coded) => coded.numbers().values,
        // What is not there is a value, too.
        Flat::Texts(texts) => texts.keys.into_iter().map(|key| u64::from(key.wrapping_add(1))).collect(),
        Flat::Nothing | Flat::Other(_) => return,
    };
    values.into_iter().enumerate().for_each(|(row, value)| take(row, value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Layout;
    use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampNanosecondArray, UInt64Array};
    use std::sync::{Arc, LazyLock};

    static BY_TIME: LazyLock<Table> = LazyLock::new(|| {
        let columns = Table::flows().columns.clone();
        Table::new("by_time", columns, "end", Layout::default())
    });

    #[test]
    fn a_key_has_room_for_all_that_rows_are_sorted_by() {
        for table in Table::all() {
            let alike: u32 = table.layout.alike.iter().map(|(_, bits)| bits).sum();
            assert!(alike + 2 * BITS <= u128::BITS, "{}", table.name);
        }
    }

    fn batch(ends: Vec<i64>, protocols: Vec<Option<&str>>, bytes: Vec<u64>, rtt: u64) -> RecordBatch {
        let rtts = vec![rtt; bytes.len()];
        let columns: [(_, ArrayRef); 4] = [
            ("end", Arc::new(TimestampNanosecondArray::from(ends))),
            ("protocol", Arc::new(StringArray::from(protocols))),
            ("bytes", Arc::new(UInt64Array::from(bytes))),
            ("source_tcp_min_rtt", Arc::new(UInt64Array::from(rtts))),
        ];
        RecordBatch::try_from_iter(columns).expect("a batch")
    }

    #[test]
    fn what_is_alike_lies_together_by_size() {
        let batches = [
            batch(vec![3, 2, 1], vec![Some("tcp"), Some("udp"), None], vec![900, 70, 5], 2000),
            batch(vec![5, 6, 0], vec![Some("udp"), Some("tcp"), None], vec![60, u64::MAX, 5], 1000),
        ];
        let of = |table: &'static Table| order(table, &Group::new(table, &batches)).expect("an order");
        let places = of(Table::flows());
        assert_eq!(places, [5, 2, 0, 4, 3, 1], "none, TCP, UDP");
        assert_eq!(of(&BY_TIME), [5, 2, 1, 0, 3, 4]);
    }
}
