//! Flow records back from a stream of Arrow (IPC), as [`FlowStream`](crate::FlowStream) makes them and databases give them.

mod frames;

use self::frames::Frames;
use crate::compact::{Nulls, project};
use crate::recent::matching;
use crate::segment::Question;
use crate::store::schemas;
use crate::table::Table;
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, RecordBatch};
use arrow_buffer::{Buffer, NullBuffer};
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::{FieldRef, Schema, SchemaRef};
use std::fmt::Display;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use weir_record::printable_start;

/// Pieces that are still read of a stream that makes no sense: whoever broke it may say why.
const MORE: usize = 64;
/// Of what is wrong with it.
const LONGEST: usize = 300;

/// Reads one that comes piece by piece: of what comes, those that are asked for.
pub struct FlowReader<P> {
    pieces: P,
    piece: Buffer,
    frames: Frames,
    /// Of the piece, what is of one frame.
    part: Buffer,
    decoder: StreamDecoder,
    question: Question,
    /// The columns that were asked for.
    wanted: SchemaRef,
    /// The same, and what else decides whether a row matches.
    looked_at: SchemaRef,
    nulls: Nulls,
    is_over: bool,
}

impl<P: Iterator<Item = io::Result<Vec<u8>>>> FlowReader<P> {
    /// Of these pieces. That they have come to an end too soon is theirs to say.
    pub fn new(pieces: P, question: Question) -> Self {
        let (wanted, looked_at) = schemas(Table::flows(), &question);
        Self {
            pieces,
            piece: Vec::<u8>::new().into(),
            frames: Frames::default(),
            part: Vec::<u8>::new().into(),
            decoder: StreamDecoder::new(),
            question,
            wanted: lenient(&wanted),
            looked_at: lenient(&looked_at),
            nulls: Nulls::default(),
            is_over: false,
        }
    }

    /// The columns that it has, whoever asks for them; reads all of it.
    ///
    /// # Errors
    /// It makes no sense.
    pub fn columns(mut self) -> Result<SchemaRef> {
        while self.next_batch()?.is_some() {}
        self.decoder.schema().ok_or_else(|| nonsense("it has no columns"))
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if self.part.is_empty() && self.piece.is_empty() {
                match self.pieces.next().transpose().map_err(Error::Stream)? {
                    Some(piece) => self.piece = piece.into(),
                    None if self.decoder.schema().is_none() => return Err(nonsense("it has no columns")),
                    None => return self.decoder.finish().map(|()| None).map_err(nonsense),
                }
            }
            match self.decode() {
                Ok(None) => {}
                Ok(batch) => return Ok(batch),
                Err(error) => {
                    let said = self.pieces.by_ref().take(MORE).find_map(io::Result::err);
                    return Err(said.map_or_else(|| nonsense(error), Error::Stream));
                }
            }
        }
    }

    /// Gives the decoder the next part.
    fn decode(&mut self) -> std::result::Result<Option<RecordBatch>, String> {
        if self.part.is_empty() {
            let length = self.frames.part(&self.piece)?;
            self.part = self.piece.slice_with_length(0, length);
            self.piece.advance(length);
        }
        // What others send may be anything: the decoder has assertions.
        let decode = AssertUnwindSafe(|| self.decoder.decode(&mut self.part));
        let decoded = catch_unwind(decode).map_err(|_| "nonsense")?;
        decoded.map_err(|error| error.to_string())
    }

    /// The rows of a batch that are asked for.
    fn asked(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        // A row takes as much as its time does: there are no more of them than have come.
        let time = self.looked_at.field_with_name(Table::flows().time)?;
        if batch.column_by_name(time.name()).is_none_or(|times| times.data_type() != time.data_type()) {
            return Err(odd(&self.looked_at, batch, format_args!("it has no column {}", time.name())));
        }
        let batch = unlisted(batch)?;
        let whole = project(&self.looked_at, &batch, &mut self.nulls)
            .map_err(|error| odd(&self.looked_at, &batch, error))?;
        let wanted = project(&self.wanted, &whole, &mut self.nulls)?;
        matching(Table::flows(), &self.question, &whole, &wanted).map_err(nonsense)
    }
}

impl<P: Iterator<Item = io::Result<Vec<u8>>>> Iterator for FlowReader<P> {
    type Item = Result<RecordBatch>;

    /// After an error there is nothing more.
    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_over {
            let batch = self.next_batch().and_then(|batch| batch.map(|batch| self.asked(&batch)).transpose());
            self.is_over = !matches!(batch, Ok(Some(_)));
            if !batch.as_ref().is_ok_and(|batch| batch.as_ref().is_some_and(|batch| batch.num_rows() == 0)) {
                return batch.transpose();
            }
        }
        None
    }
}

/// The same columns, of which any may be missing.
fn lenient(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Databases have no lists that are null: one of no observation is none.
fn unlisted(batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        match column.as_list_opt::<i32>().filter(|_| field.name() == "observations") {
            Some(lists) => null_where_empty(field, lists),
            None => Ok((Arc::clone(field), Arc::clone(column))),
        }
    });
    let (fields, columns): (Vec<FieldRef>, Vec<ArrayRef>) =
        columns.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

fn null_where_empty(field: &FieldRef, lists: &ListArray) -> Result<(FieldRef, ArrayRef)> {
    let there: NullBuffer =
        (0..lists.len()).map(|row| lists.is_valid(row) && lists.value_length(row) > 0).collect();
    let (item, offsets, values, _) = lists.clone().into_parts();
    let lists = ListArray::try_new(item, offsets, values, Some(there))?;
    Ok((Arc::new(field.as_ref().clone().with_nullable(true)), Arc::new(lists)))
}

/// Which column is of another type than a table of flows has; else what went wrong.
fn odd(schema: &Schema, batch: &RecordBatch, error: impl Display) -> Error {
    let differs = schema.fields().iter().find_map(|field| {
        let there = batch.column_by_name(field.name())?.data_type();
        (there != field.data_type())
            .then(|| format!("{} is {there} there, not {}", field.name(), field.data_type()))
    });
    differs.map_or_else(|| nonsense(error), nonsense)
}

/// What the decoder says has many lines, and names of theirs.
fn nonsense(what: impl Display) -> Error {
    let what = printable_start(what.to_string().trim(), LONGEST);
    Error::Stream(io::Error::other(format!("its answer is no table of flows: {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FlowStream, flow_records, flow_rows};
    use proptest::prelude::*;
    use weir_filter::generate;
    use weir_record::FlowRecord;

    fn records() -> impl Strategy<Value = Vec<FlowRecord>> {
        prop::collection::vec(generate::records(), 1..20).prop_map(|mut records| {
            // Arrow's times end in the year 2262; somebody has seen every record.
            records.iter_mut().for_each(|record| {
                record.start &= i64::MAX as u64;
                record.end &= i64::MAX as u64;
                record.observations = record.by_one_point();
            });
            records
        })
    }

    fn pieces(stream: &[u8], size: usize) -> impl Iterator<Item = io::Result<Vec<u8>>> {
        stream.chunks(size).map(|piece| Ok(piece.to_vec())).collect::<Vec<_>>().into_iter()
    }

    proptest! {
        /// However it is cut, it is what was written, as far as it is asked for.
        #[test]
        fn what_was_written_is_read(records in records(), filter in generate::filters(), size in 50..5000_usize) {
            let stream = FlowStream::new("here".into(), &[]).write(&records).expect("a stream");
            let wanted: Vec<_> = records.iter().filter(|record| filter.matches(record)).collect();
            let wanted = flow_rows(Table::flows().schema(), &wanted).expect("a batch");
            let wanted: Vec<_> = flow_records(&wanted).map(|record| record.expect("a record")).collect();
            let question = Question { filter: Some(Arc::new(filter)), ..Question::default() };
            let mut read = Vec::new();
            for batch in FlowReader::new(pieces(&stream, size), question) {
                read.extend(flow_records(&batch.expect("a batch")).map(|record| record.expect("a record")));
            }
            prop_assert_eq!(read, wanted);
        }

        /// What others send may be anything.
        #[test]
        fn nonsense_is_an_error(
            records in records(),
            spoilt in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..9),
        ) {
            let mut stream = FlowStream::new("here".into(), &[]).write(&records).expect("a stream");
            let length = stream.len();
            spoilt.iter().for_each(|(at, byte)| stream[at.index(length)] = *byte);
            for batch in FlowReader::new(pieces(&stream, 999), Question::default()).flatten() {
                flow_records(&batch).for_each(drop);
            }
        }
    }

    #[test]
    fn who_breaks_it_may_say_why() {
        let pieces = [Ok(b"Code: 241. DB".to_vec()), Err(io::Error::other("out of memory"))];
        let said = FlowReader::new(pieces.into_iter(), Question::default()).next().expect("an error");
        assert_eq!(said.expect_err("an error").to_string(), "out of memory");
        let said = FlowReader::new(pieces_of_text(), Question::default())
            .columns()
            .expect_err("no columns")
            .to_string();
        assert!(said.contains("no table of flows"), "{said}");
    }

    fn pieces_of_text() -> impl Iterator<Item = io::Result<Vec<u8>>> {
        pieces(b"<html>hello</html>", 5)
    }
}
