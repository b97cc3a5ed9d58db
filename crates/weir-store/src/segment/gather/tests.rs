use super::*;
use crate::compact::{Nulls, narrow, project};
use crate::flow_batch;
use proptest::prelude::*;
use weir_filter::generate;

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// Of either form that batches are of, the columns of a group are what Arrow makes of them put together.
    #[test]
    fn compact_and_whole_batches_make_the_same(records in prop::collection::vec(generate::records(), 1..40)) {
        let schema = Table::flows().schema();
        let compact = flow_batch(&records).expect("a batch");
        let whole = project(schema, &compact, &mut Nulls::default()).expect("a batch");
        let rows: Vec<u32> = (0..2 * records.len() as u32).rev().step_by(2).collect();
        let read = [narrow(&whole).expect("a batch"), whole.clone()];
        for batches in [[compact.clone(), compact], read] {
            assert_same(&Group::new(Table::flows(), &batches), &whole, &rows);
        }
    }
}

fn assert_same(group: &Group<'_>, whole: &RecordBatch, rows: &[u32]) {
    let columns = group.table.columns.iter().zip(group.table.schema().fields());
    for (at, (column, field)) in columns.enumerate() {
        let flat = group.flat(at).expect("a column").taken(rows).expect("rows of it");
        let made = flat.array(field.data_type(), rows.len()).expect("an array");
        let part = whole.column_by_name(column.name).expect("a column");
        let all = concat(&[part, part].map(|part| &**part)).expect("an array");
        let wanted = take(&all, &UInt32Array::from(rows.to_vec()), None).expect("rows of it");
        let made = match made.as_any_dictionary_opt() {
            Some(dictionary) => take(dictionary.values(), dictionary.keys(), None).expect("texts"),
            None => made,
        };
        assert_eq!(&made, &wanted, "{}", column.name);
    }
}
