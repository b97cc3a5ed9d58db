//! What flows add up to, group by group.

use super::asked::Asked;
use crate::history::Sources;
use crate::records::{Column, joined};
use arrow_array::{Array, ArrayRef, RecordBatch};
use std::collections::HashMap;
use weir_record::{Field, Kind, Text, Value};
use weir_store::{Table, flow_rows, value};

/// Groups at most, about 200 bytes each.
const MOST: usize = 1_000_000;

/// What is added up, beside what is grouped by.
pub const READ: [&str; 7] =
    ["start", "end", "packets", "bytes", "reverse_packets", "reverse_bytes", "flow_end_reason"];

/// What a group adds up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// Conversations that have ended, or go on.
    pub conversations: u64,
    pub records: u64,
    pub packets: u64,
    pub bytes: u64,
    pub reverse_packets: u64,
    pub reverse_bytes: u64,
    /// The first packet, and the last one.
    pub first: u64,
    pub last: u64,
}

impl Default for Sum {
    fn default() -> Self {
        Self {
            conversations: 0,
            records: 0,
            packets: 0,
            bytes: 0,
            reverse_packets: 0,
            reverse_bytes: 0,
            first: u64::MAX,
            last: 0,
        }
    }
}

impl Sum {
    /// Bytes both ways.
    pub fn all_bytes(&self) -> u64 {
        self.bytes.saturating_add(self.reverse_bytes)
    }

    /// Adds another one.
    pub fn add(&mut self, more: &Self) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.conversations, more.conversations);
        add(&mut self.records, more.records);
        add(&mut self.packets, more.packets);
        add(&mut self.bytes, more.bytes);
        add(&mut self.reverse_packets, more.reverse_packets);
        add(&mut self.reverse_bytes, more.reverse_bytes);
        self.first = self.first.min(more.first);
        self.last = self.last.max(more.last);
    }
}

/// What a group has in common, in one column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    Absent,
    Number(u64),
    Time(u64),
    Flag(bool),
    Bits(u64),
    Text(String),
}

impl Cell {
    /// As a value of a record.
    pub fn value(&self) -> Value<'_> {
        match self {
            Self::Absent => Value::Absent,
            Self::Number(number) => Value::Number(*number),
            Self::Time(time) => Value::Time(*time),
            Self::Flag(flag) => Value::Flag(*flag),
            Self::Bits(bits) => Value::Bits(*bits),
            Self::Text(text) => Value::Text(Text::Borrowed(text)),
        }
    }
}

/// Which conversations a batch is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Records: an interim one is of a conversation that will end with another.
    Kept,
    /// They go on.
    Open,
}

/// What groups have in common, and what each adds up to.
pub type Groups = Vec<(Vec<Cell>, Sum)>;

/// What all that is asked for adds up to: what was kept, and what goes on.
///
/// # Errors
/// There are more groups than fit; a server that is asked has not told all.
pub fn sum(asked: &Asked, sources: &mut Sources) -> Result<Groups, String> {
    let mut sums = Sums::new(&asked.groups);
    let open: Vec<_> = asked.open(sources).collect();
    let open = flow_rows(Table::flows().schema(), &open).map_err(|error| error.to_string())?;
    sources.read(asked.question(), |batch| sums.add(batch, State::Kept))?;
    sources.intact().map_err(|error| error.to_string())?;
    sums.add(&open, State::Open)?;
    Ok(sums.groups())
}

/// Groups, as they come.
struct Sums<'c> {
    columns: &'c [Column],
    /// By what is in [`write`]'s form.
    groups: HashMap<Vec<u8>, Sum>,
    key: Vec<u8>,
}

impl<'c> Sums<'c> {
    fn new(columns: &'c [Column]) -> Self {
        Self { columns, groups: HashMap::new(), key: Vec::new() }
    }

    /// Adds a batch.
    ///
    /// # Errors
    /// There are more groups than fit.
    fn add(&mut self, batch: &RecordBatch, state: State) -> Result<(), String> {
        // Text is what addresses are kept as, and what they are shown as.
        let kind = |kind| if kind == Kind::Address { Kind::Text } else { kind };
        let read = |field: &'static Field| Some((batch.column_by_name(field.name)?, kind(field.kind)));
        let own: Vec<Vec<_>> =
            self.columns.iter().map(|column| column.fields().map(read).collect()).collect();
        let counted = READ.map(|name| batch.column_by_name(name));
        for row in 0..batch.num_rows() {
            self.key.clear();
            for ends in &own {
                let values = ends
                    .iter()
                    .map(|end| end.map_or(Value::Absent, |(column, kind)| value(column, kind, row)));
                write(&mut self.key, &values.reduce(joined).unwrap_or(Value::Absent));
            }
            let sum = counts(counted, row, state);
            if let Some(group) = self.groups.get_mut(&self.key) {
                group.add(&sum);
            } else if self.groups.len() < MOST {
                self.groups.insert(self.key.clone(), sum);
            } else {
                return Err(format!("more than {MOST} groups: ask for less, or sum by less"));
            }
        }
        Ok(())
    }

    /// All groups, in no order.
    fn groups(self) -> Groups {
        let count = self.columns.len();
        self.groups.into_iter().map(|(key, sum)| (read(&key, count), sum)).collect()
    }
}

fn counts(
    [start, end, packets, bytes, back, bytes_back, reason]: [Option<&ArrayRef>; 7],
    row: usize,
    state: State,
) -> Sum {
    let number = |column: Option<&ArrayRef>, kind| match column.map(|column| value(column, kind, row)) {
        Some(Value::Number(number) | Value::Time(number)) => Some(number),
        _ => None,
    };
    let count = |column| number(column, Kind::Number).unwrap_or(0);
    let is_interim = reason
        .filter(|column| !column.is_null(row))
        .is_some_and(|column| value(column, Kind::Text, row) == Value::Text("active_timeout".into()));
    Sum {
        conversations: u64::from(state == State::Open || !is_interim),
        records: 1,
        packets: count(packets),
        bytes: count(bytes),
        reverse_packets: count(back),
        reverse_bytes: count(bytes_back),
        first: number(start, Kind::Time).unwrap_or(u64::MAX),
        last: number(end, Kind::Time).unwrap_or(0),
    }
}

/// A cell as bytes: what it is, then its number, or its length and its text.
fn write(key: &mut Vec<u8>, value: &Value<'_>) {
    let mut put = |tag: u8, number: u64| {
        key.push(tag);
        key.extend(number.to_le_bytes());
    };
    match value {
        Value::Absent | Value::Observations(_) => key.push(0),
        Value::Number(number) => put(1, *number),
        Value::Time(time) => put(2, *time),
        Value::Flag(flag) => put(3, (*flag).into()),
        Value::Bits(bits) => put(4, *bits),
        Value::Text(text) => {
            put(5, text.len() as u64);
            key.extend(text.as_bytes());
        }
        // Columns hold these as text.
        Value::Id(_) | Value::Address(_) => key.push(0),
    }
}

/// What [`write`] has written, cell by cell.
fn read(key: &[u8], count: usize) -> Vec<Cell> {
    let mut rest = key;
    let mut take = |length: usize| {
        let (taken, left) = rest.split_at(length.min(rest.len()));
        rest = left;
        taken
    };
    let mut cells = Vec::with_capacity(count);
    for _ in 0..count {
        let tag = take(1).first().copied().unwrap_or(0);
        if tag == 0 {
            cells.push(Cell::Absent);
            continue;
        }
        let number = take(8).try_into().map_or(0, u64::from_le_bytes);
        cells.push(match tag {
            1 => Cell::Number(number),
            2 => Cell::Time(number),
            3 => Cell::Flag(number != 0),
            4 => Cell::Bits(number),
            _ => Cell::Text(String::from_utf8_lossy(take(number as usize)).into_owned()),
        });
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use weir_filter::generate;
    use weir_record::FlowRecord;

    #[test]
    fn keys_are_read_as_they_were_written() {
        let cells = [
            Cell::Text("a".into()),
            Cell::Absent,
            Cell::Number(443),
            Cell::Text(String::new()),
            Cell::Flag(true),
            Cell::Bits(5),
            Cell::Time(u64::MAX),
        ];
        let mut key = Vec::new();
        cells.iter().for_each(|cell| write(&mut key, &cell.value()));
        assert_eq!(read(&key, cells.len()), cells);
    }

    proptest! {
        /// Whatever it is summed by, all of it is there.
        #[test]
        fn nothing_is_lost_in_groups(records in prop::collection::vec(generate::records(), 1..20)) {
            let columns = ["protocol", "port", "vlan", "direction"].map(|name| Column::named(name).expect(name));
            let mut sums = Sums::new(&columns);
            let batch = flow_rows(Table::flows().schema(), &records.iter().collect::<Vec<_>>()).expect("a batch");
            prop_assert_eq!(sums.add(&batch, State::Kept), Ok(()));
            let mut total = Sum::default();
            let groups = sums.groups();
            groups.iter().for_each(|(_, sum)| total.add(sum));
            let all = |of: fn(&FlowRecord) -> u64| records.iter().map(of).fold(0, u64::saturating_add);
            prop_assert_eq!(total.records, records.len() as u64);
            prop_assert_eq!(total.packets, all(|record| record.packets));
            prop_assert_eq!(total.bytes, all(|record| record.bytes));
            prop_assert_eq!(total.reverse_bytes, all(|record| record.reverse.map_or(0, |back| back.count.bytes)));
            // Columns hold times up to the year 2262.
            let first = records.iter().map(|record| record.start.min(i64::MAX as u64)).min();
            prop_assert_eq!(Some(total.first), first);
            let keys: std::collections::BTreeSet<_> = groups.iter().map(|(cells, _)| cells.clone()).collect();
            prop_assert_eq!(keys.len(), groups.len());
        }
    }
}
