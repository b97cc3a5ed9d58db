//! The one table of fields. Every output, the filter language and the reference page come from
//! it: a new field is one new entry.

mod flow;
mod process;

use crate::field::Field;

const COUNT: usize = flow::FIELDS.len() + process::FIELDS.len();

static ALL: [Field; COUNT] = {
    let mut all = [flow::FIELDS[0]; COUNT];
    let mut at = 0;
    while at < COUNT {
        all[at] = match at.checked_sub(flow::FIELDS.len()) {
            Some(beyond) => process::FIELDS[beyond],
            None => flow::FIELDS[at],
        };
        at += 1;
    }
    all
};

/// Every field of a flow record, in the order of output.
pub static FIELDS: &[Field] = &ALL;
