//! Segments of records are summed up, each by itself, before anything becomes of them.
//!
//! The sums get the name of what they were made of: its day and its logs. So names alone say what is summed up and what
//! is not, whatever a kill or a power loss leaves. A segment is summed up where sums of its day have logs in common with
//! it, and three rules keep that true: sums are of a whole segment; what is merged is summed up, and its sums are in one
//! segment by then; sums are merged only where nothing in between is not summed up yet.

use super::{House, Tell};
use crate::rollup::{Sums, columns_of};
use crate::segment::{Logs, Question, Segment};
use crate::store::segments;
use crate::table::Table;
use crate::{Error, Result};
use jiff::civil::Date;

impl House {
    /// The tables of sums that are kept.
    pub(super) fn roll_ups(&self) -> impl Iterator<Item = &'static Table> {
        self.tables.iter().copied().filter(|table| table.span.is_some())
    }

    pub(super) fn segments_of(&self, table: &Table) -> Result<Vec<Segment>> {
        segments(&self.directory.join(table.name))
    }

    fn all_sums(&self) -> Result<Vec<(&'static Table, Vec<Segment>)>> {
        self.roll_ups().map(|table| Ok((table, self.segments_of(table)?))).collect()
    }

    /// Sums up what is not yet. What is damaged is set aside.
    ///
    /// No lock is held: nothing that readers see goes away.
    pub(super) fn sum_up(&self, tell: &Tell) -> Result<()> {
        let kept = self.all_sums()?;
        if kept.is_empty() {
            return Ok(());
        }
        let mut trouble = Ok(());
        for segment in self.segments_of(Table::flows())? {
            let lacking = kept.iter().filter(|(table, sums)| self.is_due(table, sums, &segment));
            let tables: Vec<_> = lacking.map(|(table, _)| *table).collect();
            match self.sum_up_one(&segment, &tables) {
                Err(error @ Error::Damaged { .. }) => self.deal_with(Err(error), &segment.path, tell),
                // It has been merged, or was too old.
                Err(_) if !segment.path.exists() => {}
                Err(error) if error.is_no_space() => return Err(error),
                // The others are not kept waiting: they could neither be merged nor go.
                Err(error) if trouble.is_ok() => trouble = Err(error),
                _ => {}
            }
        }
        trouble
    }

    fn sum_up_one(&self, segment: &Segment, tables: &[&'static Table]) -> Result<()> {
        if tables.is_empty() {
            return Ok(());
        }
        let begin = |table: &&'static Table| {
            Sums::begin(table, Table::flows(), &self.directory.join(table.name), segment.name.logs())
        };
        let mut drafts = Vec::new();
        let mut fill = || -> Result<()> {
            for table in tables {
                drafts.push(begin(table)?);
            }
            let question = Question { columns: Some(columns_of(Table::flows())), ..Question::default() };
            for batch in segment.vouched(Table::flows(), &question)? {
                let batch = batch?;
                drafts.iter_mut().try_for_each(|sums| sums.push(&batch))?;
            }
            Ok(())
        };
        if let Err(error) = fill() {
            drafts.into_iter().for_each(Sums::discard);
            return Err(error);
        }
        // Where one of them fails the next round makes it, and those after it.
        let mut drafts = drafts.into_iter();
        let done = drafts.try_for_each(|sums| sums.finish()?.publish().map(drop));
        drafts.for_each(Sums::discard);
        done
    }

    /// Whether there should be sums of this segment among these, and are none.
    fn is_due(&self, table: &Table, sums: &[Segment], segment: &Segment) -> bool {
        self.limit(table).is_none_or(|limit| *segment.name.times().end() >= limit)
            && !sums.iter().any(|one| one.name.has_of(segment.name.day, &segment.name.logs()))
    }

    /// Which segments of a table may be removed or merged: those that are summed up, or whose sums are not kept.
    pub(super) fn is_summed_up(&self, table: &Table) -> Result<impl Fn(&Segment) -> bool> {
        let is_summed = table.name == Table::flows().name;
        let kept = if is_summed { self.all_sums()? } else { Vec::new() };
        Ok(move |segment: &Segment| !kept.iter().any(|(table, sums)| self.is_due(table, sums, segment)))
    }

    /// Whether all records of these logs of a day that there are have their sums in this table.
    pub(super) fn is_complete(&self, table: &'static Table, day: Date, logs: &Logs) -> Result<bool> {
        let (records, sums) = (self.segments_of(Table::flows())?, self.segments_of(table)?);
        let between = records.iter().filter(|segment| segment.name.has_of(day, logs));
        Ok(!between.into_iter().any(|segment| self.is_due(table, &sums, segment)))
    }
}
