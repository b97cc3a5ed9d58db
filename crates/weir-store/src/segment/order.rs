//! The order of rows in a row group: what is alike lies together, so that the file is small.
//!
//! A host does the same again and again. By time, every row differs from the one before in nearly everything; in this
//! order whole stretches of most columns are the same.

use super::times;
use crate::Result;
use crate::table::{Layout, Table};
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use twox_hash::XxHash64;

/// Bits of each of the numbers by which rows are sorted; larger ones count as the largest.
const BITS: u32 = 48;

/// All rows, each as the number of its batch and its own in there. Those that are alike in all that is looked at, and
/// all of a table of which nothing is, are in order of time.
pub(super) fn order(table: &Table, batches: &[RecordBatch]) -> Result<Vec<(usize, usize)>> {
    let mut keys = Vec::new();
    for (at, batch) in batches.iter().enumerate() {
        let rows = keys_of(table.layout, batch).into_iter().zip(times(table, batch)?).enumerate();
        keys.extend(rows.map(|(row, (key, time))| (key, *time, at as u32, row as u32)));
    }
    keys.sort_unstable();
    Ok(keys.into_iter().map(|(_, _, at, row)| (at as usize, row as usize)).collect())
}

/// What rows are sorted by: a hash of what shall be the same, then the numbers.
fn keys_of(layout: Layout, batch: &RecordBatch) -> Vec<u128> {
    let mut groups = vec![0; batch.num_rows()];
    for column in layout.alike.iter().filter_map(|name| batch.column_by_name(name)) {
        mix(column, &mut groups);
    }
    let mut keys: Vec<_> = groups.into_iter().map(|group| u128::from(group >> 32)).collect();
    for name in layout.sorted {
        let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<UInt64Type>());
        for (row, key) in keys.iter_mut().enumerate() {
            let number =
                column.filter(|numbers| numbers.is_valid(row)).map_or(0, |numbers| numbers.value(row));
            *key = *key << BITS | u128::from(number.min((1 << BITS) - 1));
        }
    }
    keys
}

fn mix(column: &ArrayRef, groups: &mut [u64]) {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut add = |row: usize, value: u64| {
        groups[row] = (groups[row].rotate_left(23) ^ value).wrapping_mul(ODD);
    };
    if let Some(numbers) = column.as_primitive_opt::<UInt64Type>() {
        numbers.iter().enumerate().for_each(|(row, number)| add(row, number.unwrap_or(0)));
    } else if let Some(texts) = column.as_string_opt::<i32>() {
        let hash = |text: &str| XxHash64::oneshot(0, text.as_bytes());
        texts.iter().enumerate().for_each(|(row, text)| add(row, text.map_or(0, hash)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{StringArray, TimestampNanosecondArray, UInt64Array};
    use std::sync::Arc;

    fn batch(ends: Vec<i64>, protocols: Vec<Option<&str>>, bytes: Vec<u64>) -> RecordBatch {
        let columns: [(_, ArrayRef); 3] = [
            ("end", Arc::new(TimestampNanosecondArray::from(ends))),
            ("protocol", Arc::new(StringArray::from(protocols))),
            ("bytes", Arc::new(UInt64Array::from(bytes))),
        ];
        RecordBatch::try_from_iter(columns).expect("a batch")
    }

    #[test]
    fn what_is_alike_lies_together_by_size() {
        let batches = [
            batch(vec![3, 2, 1], vec![Some("tcp"), Some("udp"), None], vec![900, 70, 5]),
            batch(vec![5, 6, 0], vec![Some("udp"), Some("tcp"), None], vec![60, u64::MAX, 5]),
        ];
        let places = order(Table::flows(), &batches).expect("an order");
        let (tcp, udp, none) = ([(0, 0), (1, 1)], [(1, 0), (0, 1)], [(1, 2), (0, 2)]);
        assert!(
            [tcp, udp, none].iter().all(|group| places.chunks(2).any(|pair| pair == group)),
            "{places:?}"
        );
        let by_time = Table::new("by_time", Vec::new(), "end", Layout::default());
        let places = order(&by_time, &batches).expect("an order");
        assert_eq!(places, [(1, 2), (0, 2), (0, 1), (0, 0), (1, 0), (1, 1)]);
    }
}
