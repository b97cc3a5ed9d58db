//! What tells batches apart: what tells their records apart.

use std::hash::{DefaultHasher, Hash, Hasher};
use weir_record::FlowRecord;

/// The same for the same records, in whatever order these come back from disk.
pub fn sum<'r>(records: impl IntoIterator<Item = &'r FlowRecord>) -> u64 {
    let ids = records.into_iter().map(|record| hash(&(record.flow_id, record.start, record.end)));
    ids.fold(0, u64::wrapping_add)
}

/// Of this value; the same in each process.
pub fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
