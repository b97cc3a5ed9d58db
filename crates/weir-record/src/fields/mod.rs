//! The one table of fields. Every output, the filter language and the reference page come from
//! it: a new field is one new entry.

mod flow;
mod process;

use crate::field::Field;

static ALL: [Field; flow::FIELDS.len() + process::FIELDS.len()] = joined(flow::FIELDS, process::FIELDS);

/// Both, one after the other: `COUNT` altogether.
const fn joined<const COUNT: usize>(first: &[Field], second: &[Field]) -> [Field; COUNT] {
    let mut all = [first[0]; COUNT];
    let mut at = 0;
    while at < COUNT {
        all[at] = if at < first.len() { first[at] } else { second[at - first.len()] };
        at += 1;
    }
    all
}

/// Every field of a flow record, in the order of output.
pub static FIELDS: &[Field] = &ALL;
