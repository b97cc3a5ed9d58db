use super::*;
use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampNanosecondType, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, TimestampNanosecondArray, UInt64Array};
use arrow_schema::{Field, Schema};
use arrow_select::concat::concat_batches;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// As segments are written; the other writer cuts pages at the row limit only where its batches do.
fn properties(page: usize, statistics: EnabledStatistics) -> WriterPropertiesPtr {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_data_page_row_count_limit(page)
        .set_write_batch_size(page)
        .set_dictionary_page_size_limit(64 << 20)
        .set_statistics_enabled(statistics)
        .set_bloom_filter_enabled(statistics == EnabledStatistics::Page)
        .set_bloom_filter_fpp(0.01)
        .set_bloom_filter_max_ndv(128 * 1024);
    Arc::new(properties.build())
}

/// Columns of these, which must have values where none has none.
fn batch(columns: &[(ArrayRef, bool)]) -> RecordBatch {
    let field = |(at, (array, is_optional)): (usize, &(ArrayRef, bool))| {
        Field::new(format!("column_{at}"), array.data_type().clone(), *is_optional)
    };
    let fields: Vec<_> = columns.iter().enumerate().map(field).collect();
    let columns = columns.iter().map(|(array, _)| array.clone()).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch")
}

/// The distinct ones in another order than that of the rows, and one that no row has.
fn keyed<T: Ord + Copy>(rows: &[Option<T>], unused: T) -> (Vec<T>, Vec<u32>) {
    let distinct: BTreeSet<_> = rows.iter().flatten().copied().collect();
    let values: Vec<_> = std::iter::once(unused).chain(distinct.into_iter().rev()).collect();
    let keys: BTreeMap<_, _> = values.iter().copied().zip(0..).skip(1).collect();
    let keys = rows.iter().map(|row| row.map_or(NONE, |row| keys[&row])).collect();
    (values, keys)
}

fn values(array: &ArrayRef) -> (Values<'_>, Vec<u32>) {
    if let Some(texts) = array.as_string_opt::<i32>() {
        let (values, keys) = keyed(&texts.iter().collect::<Vec<_>>(), "nobody's");
        (Values::Texts(values), keys)
    } else if let Some(numbers) = array.as_primitive_opt::<UInt64Type>() {
        let (values, keys) = keyed(&numbers.iter().collect::<Vec<_>>(), 4711);
        (Values::Numbers(values), keys)
    } else {
        let times = array.as_primitive::<TimestampNanosecondType>();
        let (values, keys) = keyed(&times.iter().collect::<Vec<_>>(), 4711);
        (Values::Times(values), keys)
    }
}

/// A file of two row groups with the same rows.
fn ours(batch: &RecordBatch, properties: &WriterPropertiesPtr) -> Bytes {
    let all = Some(WriterProperties::clone(properties));
    let writer = ArrowWriter::try_new(Vec::new(), batch.schema(), all).expect("a writer");
    let (mut file, _) = writer.into_serialized_writer().expect("a file");
    let mut encoder = Encoder::new(properties.clone()).expect("an encoder");
    let columns = file.schema_descr().columns().to_vec();
    for _ in 0..2 {
        let mut group = file.next_row_group().expect("a row group");
        for (column, array) in columns.iter().zip(batch.columns()) {
            let (values, keys) = values(array);
            let (bytes, close) = encoder.chunk(column, &values, &keys).expect("a chunk");
            group.append_column(&bytes, close).expect("appended");
        }
        group.close().expect("closed");
    }
    file.into_inner().expect("a file").into()
}

fn theirs(batch: &RecordBatch, properties: &WriterPropertiesPtr) -> Bytes {
    let all = Some(WriterProperties::clone(properties));
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), all).expect("a writer");
    for _ in 0..2 {
        writer.write(batch).expect("written");
        writer.flush().expect("flushed");
    }
    writer.into_inner().expect("a file").into()
}

fn reader(file: &Bytes) -> ParquetRecordBatchReaderBuilder<Bytes> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let metadata = ArrowReaderMetadata::load(file, options.clone()).or_else(|_| {
        ArrowReaderMetadata::load(file, options.with_page_index_policy(PageIndexPolicy::Optional))
    });
    ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), metadata.expect("its metadata"))
}

fn read(reader: ParquetRecordBatchReaderBuilder<Bytes>) -> RecordBatch {
    let schema = reader.schema().clone();
    let batches = reader.build().expect("a reader").collect::<std::result::Result<Vec<_>, _>>();
    concat_batches(&schema, &batches.expect("its rows")).expect("a batch")
}

/// All that is said of a column chunk but for where it is and how large; and its Bloom filter.
fn said(file: &Bytes, group: usize, column: usize) -> Vec<String> {
    let reader = reader(file);
    let filter = reader.get_row_group_column_bloom_filter(group, column).expect("a Bloom filter or none");
    let filter = filter.map(|filter| {
        let mut bytes = Vec::new();
        filter.write(&mut bytes).expect("written");
        bytes
    });
    let metadata = reader.metadata();
    let chunk = metadata.row_group(group).column(column);
    let pages = &metadata.offset_index().expect("offset indexes")[group][column];
    let first_rows: Vec<_> = pages.page_locations.iter().map(|page| page.first_row_index).collect();
    vec![
        format!("{:?}", chunk.statistics()),
        format!(
            "{:?}",
            (chunk.num_values(), chunk.encodings().collect::<Vec<_>>(), chunk.page_encoding_stats())
        ),
        format!("{:?}", (chunk.unencoded_byte_array_data_bytes(), chunk.definition_level_histogram())),
        format!("{:?}", metadata.column_index().map(|index| &index[group][column])),
        format!("{:?}", (first_rows, &pages.unencoded_byte_array_data_bytes)),
        format!("{filter:?}"),
    ]
}

/// Both writers' files have the same rows, and say the same of them.
fn check(batch: &RecordBatch, properties: &WriterPropertiesPtr) {
    let (ours, theirs) = (ours(batch, properties), theirs(batch, properties));
    let rows = concat_batches(&batch.schema(), [batch, batch]).expect("a batch");
    assert!(read(reader(&ours)) == rows, "other rows are read");
    for (group, column) in
        (0..2).flat_map(|group| (0..batch.num_columns()).map(move |column| (group, column)))
    {
        assert_eq!(said(&ours, group, column), said(&theirs, group, column), "{group} {column}");
    }
    // Some rows out of each page, by what the offset index says.
    let select = |row: usize| match row % 7 {
        0 => RowSelector::select(1),
        _ => RowSelector::skip(1),
    };
    let some = RowSelection::from((0..rows.num_rows()).map(select).collect::<Vec<_>>());
    assert!(
        read(reader(&ours).with_row_selection(some.clone()))
            == read(reader(&theirs).with_row_selection(some))
    );
}

fn texts<'t>(texts: impl IntoIterator<Item = Option<&'t str>>) -> ArrayRef {
    Arc::new(texts.into_iter().collect::<StringArray>())
}

fn numbers(numbers: impl IntoIterator<Item = Option<u64>>) -> ArrayRef {
    Arc::new(numbers.into_iter().collect::<UInt64Array>())
}

#[test]
fn columns_of_every_form_are_as_the_other_writer_writes_them() {
    const ROWS: u64 = 50_000;
    let long = "a text that is longer than what statistics have of one, namely sixty-four bytes";
    let (edge, last) = (format!("{}é{long}", "e".repeat(63)), "\u{10ffff}".repeat(40));
    let few = ["tcp", "", "Straße", "日本語", long, &edge, &last];
    let all: Vec<_> =
        (0..100_000_u64).map(|number| format!("{:x}", number.wrapping_mul(0x9e37_79b9))).collect();
    let some = |row: u64| (row / 30 % 11 < 4).then_some(row);
    let text = |row: u64| few[(row / 5 % few.len() as u64) as usize];
    let columns = [
        (texts((0..ROWS).map(|row| Some(text(row)))), false),
        (texts((0..ROWS).map(|row| Some(text(row)))), true),
        (texts((0..ROWS).map(|row| some(row).map(text))), true),
        (texts((0..ROWS).map(|_| None)), true),
        (texts((0..ROWS).map(|_| Some("udp"))), false),
        (texts((0..ROWS).map(|row| Some(all[row as usize * 2].as_str()))), false),
        // On the second page there is none.
        (texts((0..ROWS).map(|row| (row / 20_000 != 1).then(|| text(row)))), true),
        (texts((0..ROWS).map(|row| (row == ROWS - 1).then_some(""))), true),
        (numbers((0..ROWS).map(Some)), false),
        (numbers((0..ROWS).map(|row| Some(u64::MAX - row / 100))), true),
        (numbers((0..ROWS).map(|row| some(row).map(|row| row * row % 300))), true),
        (numbers((0..ROWS).map(|_| None)), true),
        (numbers((0..ROWS).map(|row| Some([0, u64::MAX, 1 << 63][row as usize % 3]))), false),
        (
            Arc::new((0..ROWS as i64).map(|row| Some(row / 9 - 2_000)).collect::<TimestampNanosecondArray>()),
            false,
        ),
    ];
    for statistics in [EnabledStatistics::Page, EnabledStatistics::Chunk] {
        check(&batch(&columns), &properties(20_000, statistics));
    }
}

#[test]
fn a_hundred_thousand_distinct_values_are_read_as_they_were() {
    let all: Vec<_> = (0..100_000).map(|number| format!("connection {number}")).collect();
    let columns = [
        (texts(all.iter().map(|text| Some(text.as_str()))), false),
        (numbers((0..100_000).map(|row| Some(row * 0x9e37_79b9))), true),
    ];
    check(&batch(&columns), &properties(20_000, EnabledStatistics::Page));
}

/// A column of texts, each row with one, and one of numbers.
fn descriptions() -> [ColumnDescPtr; 2] {
    let batch = batch(&[(texts([Some("tcp")]), false), (numbers([Some(1)]), true)]);
    let writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("a writer");
    let (file, _) = writer.into_serialized_writer().expect("a file");
    [0, 1].map(|column| file.schema_descr().column(column))
}

#[test]
fn places_take_the_bits_of_the_values_that_are_known_by_then() {
    let values = Values::Texts(vec!["never", "tcp", "udp", "icmp"]);
    let [column, _] = descriptions();
    let mut pages = Pages::new(&column, &WriterProperties::new(), &values).expect("pages");
    let mut body = |keys: &[u32]| pages.page(keys).expect("a page").body;
    assert_eq!(body(&[3, 3, 3]), [0, 3], "one value takes none");
    assert_eq!(body(&[1, 3, 1]), [1, 3, 0b101], "two take one");
    assert_eq!(body(&[3; 20]), [1, 40, 0]);
    assert_eq!(body(&[2]), [2, 3, 2, 0]);
    assert_eq!(pages.values(), ["icmp", "tcp", "udp"].map(Value::Text));
}

#[test]
fn what_does_not_fit_is_refused() {
    let columns = descriptions();
    let mut encoder = Encoder::new(properties(10, EnabledStatistics::Chunk)).expect("an encoder");
    let mut of = |column: usize, values: Values<'_>, keys: &[u32]| {
        encoder.chunk(&columns[column], &values, keys).map(|(_, close)| close.rows_written)
    };
    assert_eq!(of(0, Values::Texts(vec!["tcp"]), &[0, 0]).ok(), Some(2));
    assert_eq!(of(1, Values::Numbers(vec![6]), &[0, NONE, 0]).ok(), Some(3));
    assert!(of(0, Values::Texts(vec!["tcp"]), &[0, NONE]).is_err(), "there must be one");
    assert!(of(0, Values::Texts(vec!["tcp"]), &[1]).is_err(), "no such value");
    assert!(of(0, Values::Numbers(vec![6]), &[0]).is_err(), "a number is no text");
    assert!(of(1, Values::Times(vec![6]), &[0]).is_err(), "a time is compared in another way");
}

/// Rows of few or many distinct values, in stretches of the same.
fn column() -> impl Strategy<Value = (ArrayRef, bool)> {
    let texts_of = prop::collection::vec("[a-cé\u{10ffff}]{0,3}|[a-cé日\u{10ffff}]{50,90}", 1..20);
    let numbers_of = prop::collection::vec(prop_oneof![0..9_u64, any::<u64>()], 1..200);
    let rows = prop::collection::vec((any::<prop::sample::Index>(), 0..4_u32, 1..30_usize), 1..60);
    let nulls = prop_oneof![Just(None), (0..4_u32).prop_map(Some)];
    (texts_of, numbers_of, any::<bool>(), rows, nulls).prop_map(|(of, numbers_of, is_text, rows, nulls)| {
        let rows: Vec<_> = rows.iter().flat_map(|(at, null, count)| vec![(at, *null); *count]).collect();
        let rows = rows.iter().map(|(at, null)| nulls.is_none_or(|nulls| *null >= nulls).then_some(at));
        let array = match is_text {
            true => texts(rows.map(|at| at.map(|at| at.get(&of).as_str()))),
            false => numbers(rows.map(|at| at.map(|at| *at.get(&numbers_of)))),
        };
        (array, nulls.is_some())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_column_is_as_the_other_writer_writes_it(column in column(), page in 1..300_usize, by_page: bool) {
        let statistics = if by_page { EnabledStatistics::Page } else { EnabledStatistics::Chunk };
        check(&batch(&[column]), &properties(page, statistics));
    }
}

/// As ids are written, which nobody looks for one by one.
fn properties_of_ids(page: usize) -> WriterPropertiesPtr {
    let properties = WriterProperties::clone(&properties(page, EnabledStatistics::Chunk)).into_builder();
    let properties = properties.set_dictionary_enabled(false).set_encoding(Encoding::DELTA_BYTE_ARRAY);
    Arc::new(properties.set_bloom_filter_enabled(false).build())
}

/// What is read of a file of these ids, and what is said of them, beside what the other writer says of the same.
fn of_ids(ids: &[Option<u64>], page: usize) -> (RecordBatch, RecordBatch, [Vec<String>; 2]) {
    let of: Vec<_> = ids.iter().map(|id| id.map(|id| format!("{id:016x}"))).collect();
    let batch = batch(&[(texts(of.iter().map(Option::as_deref)), ids.contains(&None))]);
    let properties = properties_of_ids(page);
    let writer =
        ArrowWriter::try_new(Vec::new(), batch.schema(), Some((*properties).clone())).expect("a writer");
    let (mut file, _) = writer.into_serialized_writer().expect("a file");
    let mut encoder = Encoder::new(properties.clone()).expect("an encoder");
    let column = file.schema_descr().column(0);
    for _ in 0..2 {
        let mut group = file.next_row_group().expect("a row group");
        let (bytes, close) = encoder.ids(&column, ids).expect("a chunk");
        group.append_column(&bytes, close).expect("appended");
        group.close().expect("closed");
    }
    let ours = file.into_inner().expect("a file").into();
    let theirs = theirs(&batch, &properties);
    (read(reader(&ours)), read(reader(&theirs)), [said(&ours, 1, 0), said(&theirs, 1, 0)])
}

#[test]
fn ids_in_a_row_take_little() {
    let ids: Vec<_> = (0..50_000_u64).map(|row| 0x4b1d_6a0c_0000_0000 + row * 40_503 % 65_536).collect();
    let all: Vec<_> = ids.iter().copied().map(Some).collect();
    let (ours, theirs, [said_of_ours, said_of_theirs]) = of_ids(&all, 20_000);
    assert!(ours == theirs && said_of_ours == said_of_theirs, "{said_of_ours:#?} {said_of_theirs:#?}");
    let [column, _] = descriptions();
    let mut encoder = Encoder::new(properties_of_ids(20_000)).expect("an encoder");
    let (bytes, _) = encoder.ids(&column, &all).expect("a chunk");
    // Four digits of each differ: half of their bytes is what they say.
    assert!(bytes.len() < 50_000 * 9 / 4, "{} bytes", bytes.len());
    assert!(encoder.ids(&column, &[Some(1), None]).is_err(), "there must be one");
    assert!(encoder.ids(&descriptions()[1], &all).is_err(), "they are no numbers");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ids_of_any_kind_are_read_as_they_were(
        ids in prop::collection::vec(prop::option::weighted(0.8, prop_oneof![0..9_u64, 1_u64 << 40..1 << 41, any::<u64>()]), 1..700),
        page in 1..300_usize,
    ) {
        let (ours, theirs, [said_of_ours, said_of_theirs]) = of_ids(&ids, page);
        prop_assert_eq!(ours, theirs);
        prop_assert_eq!(said_of_ours, said_of_theirs);
    }
}
