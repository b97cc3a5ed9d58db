//! All of them by end, in pieces that fit into memory. Files are cut by time, but within a piece of a file rows lie as
//! they are small, not as they came.

use super::Row;
use crate::history::Sources;
use std::io;
use weir_store::Question;

/// Records that are put in order together, about 2 KB each.
const TOGETHER: usize = 65_536;
/// How much shorter a time is tried where more ended in it, and how much longer where fewer did.
const STEP: u64 = 4;

/// There are more than fit.
struct TooMany;

/// Hands on what the history has of it, the oldest first.
///
/// # Errors
/// Those of `take`; a server that is asked has not told all.
pub fn ordered(
    sources: &mut Sources,
    question: &Question,
    mut take: impl FnMut(Vec<Row>) -> io::Result<()>,
) -> io::Result<()> {
    let Some((first, last)) = sources.times() else { return Ok(()) };
    let (mut from, until) = (first.max(*question.times.start()), last.min(*question.times.end()));
    let mut length = until.saturating_sub(from);
    while from <= until {
        let to = from.saturating_add(length).min(until);
        match read(sources, question, (from, to)) {
            Ok(mut rows) => {
                sources.intact()?;
                rows.sort_by_key(|row| row.record.end);
                take(rows)?;
                from = to + 1;
                length = length.saturating_mul(STEP).max(1);
            }
            Err(TooMany) => length /= STEP,
        }
    }
    Ok(())
}

/// Those that ended in this time. In an instant there may be any number: they are in order.
fn read(sources: &mut Sources, question: &Question, (from, to): (u64, u64)) -> Result<Vec<Row>, TooMany> {
    let mut rows = Vec::new();
    sources.read_records(Question { times: from..=to, ..question.clone() }, |record| {
        rows.push(Row { record, is_open: false });
        if rows.len() > TOGETHER && from < to { Err(TooMany) } else { Ok(()) }
    })?;
    Ok(rows)
}
