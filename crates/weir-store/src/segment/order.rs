//! The order of rows in a row group: what is alike lies together, so that the file is small.
//!
//! A host does the same again and again. By time, every row differs from the one before in nearly everything; in this
//! order whole stretches of most columns are the same.

use super::times;
use crate::Result;
use crate::table::{Layout, Table};
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, RecordBatch};
use twox_hash::XxHash64;

/// Bits of each of the numbers by which rows are sorted; larger ones count as the largest.
const BITS: u32 = 48;

/// All rows, each as the number of its batch and its own in there. All of a table of which nothing is looked at are in
/// order of time.
pub(super) fn order(table: &Table, batches: &[RecordBatch]) -> Result<Vec<(usize, usize)>> {
    let mut keys = Vec::new();
    for (at, batch) in batches.iter().enumerate() {
        let last = last_of(table, batch)?;
        let rows = keys_of(table.layout, batch).into_iter().zip(last).enumerate();
        keys.extend(rows.map(|(row, (key, last))| (key, last, at as u32, row as u32)));
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
        keys.iter_mut().for_each(|key| *key <<= BITS);
        for (row, number) in numbers_of(batch, name) {
            keys[row] |= u128::from(number.min((1 << BITS) - 1));
        }
    }
    keys
}

/// What rows are sorted by that are the same in all that.
fn last_of(table: &Table, batch: &RecordBatch) -> Result<Vec<u64>> {
    if table.layout.then.is_empty() {
        return Ok(times(table, batch)?.iter().map(|time| *time as u64).collect());
    }
    let mut sums = vec![0_u64; batch.num_rows()];
    for (row, number) in table.layout.then.iter().flat_map(|name| numbers_of(batch, name)) {
        sums[row] = sums[row].saturating_add(number);
    }
    Ok(sums)
}

/// The numbers of a column that are there, by row.
fn numbers_of<'b>(batch: &'b RecordBatch, name: &str) -> impl Iterator<Item = (usize, u64)> + use<'b> {
    let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<UInt64Type>());
    let numbers = column.into_iter().flat_map(|numbers| numbers.iter().enumerate());
    numbers.filter_map(|(row, number)| Some((row, number?)))
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
