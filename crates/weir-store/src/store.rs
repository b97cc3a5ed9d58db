//! A store as its readers see it.

use crate::compact::{Nulls, project};
use crate::error::On;
use crate::recent::{self, Recent};
use crate::segment::{Batches, Looked, Name, Question, Segment};
use crate::table::Table;
use crate::{Error, Result, predicate, wal};
use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::vec::IntoIter;

/// Whoever holds this file's lock, shared, finds every segment where it was until they let go of it.
pub(crate) const READERS: &str = "readers";

/// A directory with tables in it. Reading needs no agent and no right to write.
#[derive(Debug, Clone)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// The store in this directory.
    ///
    /// # Errors
    /// There is no such directory, or it may not be read.
    pub fn open(directory: &Path) -> Result<Self> {
        fs::read_dir(directory).on("open", directory)?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// A table as it is now. While it is held nothing that is listed goes away.
    ///
    /// # Errors
    /// The directory may not be read.
    pub fn snapshot(&self, table: &'static Table) -> Result<Snapshot> {
        let path = self.directory.join(READERS);
        let hold = match File::open(&path) {
            Ok(file) => {
                file.lock_shared().on("lock", &path)?;
                Some(file)
            }
            // No agent has ever written here: a copy of the segments alone.
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(source) => return Err(Error::File { what: "open", path, source }),
        };
        let directory = self.directory.join(table.name);
        // Logs come first: what becomes a segment from now on is found in either, and the segment's name says so.
        let logs = wal::open_all(&directory)?;
        let segments = segments(&directory)?;
        Ok(Snapshot { table, segments, logs, recent: OnceLock::new(), _hold: hold })
    }
}

/// A table at one time: its segments, in order of time, and what is in logs and in none of them.
#[derive(Debug)]
pub struct Snapshot {
    table: &'static Table,
    segments: Vec<Segment>,
    logs: Vec<wal::Opened>,
    /// What the logs hold, once it was asked for.
    recent: OnceLock<Recent>,
    _hold: Option<File>,
}

impl Snapshot {
    /// All segments, the oldest first.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// What is in logs and in no segment yet, all columns of it: with the segments, each record once. Of a log that is
    /// written it is what had been written in whole when it was first asked for.
    ///
    /// # Errors
    /// A log cannot be read, or is damaged before its end.
    pub fn recent(&self) -> Result<Vec<RecordBatch>> {
        self.recent_parts().collect()
    }

    /// The same, with what is wrong in its place: the other logs follow.
    pub fn recent_parts(&self) -> impl Iterator<Item = Result<RecordBatch>> {
        let mut nulls = Nulls::default();
        let whole = move |part: Result<&RecordBatch>| project(self.table.schema(), part?, &mut nulls);
        self.logged().parts().map(whole)
    }

    fn logged(&self) -> &Recent {
        self.recent.get_or_init(|| Recent::read(self.table, &self.logs, &self.segments))
    }

    /// What matches, segment by segment, and from the logs at last. What is damaged is an error in its place; the others
    /// follow.
    pub fn scan(&self, question: Question) -> Scan<'_> {
        let overlaps = |segment: &&Segment| {
            let times = segment.name.times();
            times.start() <= question.times.end() && question.times.start() <= times.end()
        };
        let segments: Vec<_> = self.segments.iter().filter(overlaps).collect();
        let skipped = self.segments.len() - segments.len();
        let (schema, looked_at) = schemas(self.table, &question);
        let progress = Progress { segments_skipped: skipped, ..Progress::default() };
        let nulls = Nulls::default();
        Scan {
            snapshot: self,
            question,
            schema,
            looked_at,
            segments: segments.into_iter(),
            open: None,
            recent: 0,
            progress,
            nulls,
        }
    }
}

impl Question {
    /// The columns that it takes to answer it, asked of flows.
    pub fn takes(&self) -> SchemaRef {
        schemas(Table::flows(), self).1
    }
}

/// The columns that a question is for, and those that have to be looked at for it: what else decides whether a row matches.
pub(crate) fn schemas(table: &Table, question: &Question) -> (SchemaRef, SchemaRef) {
    let wanted = |name: &str| question.columns.as_ref().is_none_or(|columns| columns.contains(&name));
    let tested = question.filter.as_deref().map(predicate::columns).unwrap_or_default();
    let looked_at = |name: &str| wanted(name) || name == table.time || tested.contains(name);
    let of = |is_in: &dyn Fn(&str) -> bool| {
        let fields = table.schema().fields().iter().filter(|field| is_in(field.name()));
        Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
    };
    (of(&wanted), of(&looked_at))
}

/// What a scan has looked at so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Segments that were opened.
    pub segments_read: usize,
    /// Segments whose names say that they cannot hold what is asked for.
    pub segments_skipped: usize,
    /// Row groups of those that were opened.
    pub groups: Looked,
    /// Records in logs that were looked at.
    pub recent: usize,
}

/// Matching records, batch by batch.
pub struct Scan<'s> {
    snapshot: &'s Snapshot,
    question: Question,
    schema: SchemaRef,
    /// The same, and what else decides whether a row matches.
    looked_at: SchemaRef,
    segments: IntoIter<&'s Segment>,
    open: Option<Batches>,
    /// How many parts of what the logs hold were looked at.
    recent: usize,
    progress: Progress,
    nulls: Nulls,
}

impl Scan<'_> {
    /// The columns of every batch: those that were asked for, in the table's order. What an old segment does not have
    /// is null.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What has been read and passed over until now.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    fn next_segment(&mut self) -> Option<Result<()>> {
        let segment = self.segments.next()?;
        Some(segment.ask(self.snapshot.table, &self.question).map(|(looked, reader)| {
            self.progress.segments_read += 1;
            self.progress.groups.groups_read += looked.groups_read;
            self.progress.groups.groups_skipped += looked.groups_skipped;
            self.progress.groups.rows_skipped += looked.rows_skipped;
            self.open = Some(reader);
        }))
    }

    fn next_recent(&mut self) -> Option<Result<RecordBatch>> {
        loop {
            let part = self.snapshot.logged().parts().nth(self.recent)?;
            self.recent += 1;
            let looked_at = match part.and_then(|part| project(&self.looked_at, part, &mut self.nulls)) {
                Ok(batch) => batch,
                Err(error) => return Some(Err(error)),
            };
            self.progress.recent += looked_at.num_rows();
            let chosen = project(&self.schema, &looked_at, &mut self.nulls).and_then(|wanted| {
                recent::matching(self.snapshot.table, &self.question, &looked_at, &wanted)
            });
            if !chosen.as_ref().is_ok_and(|batch| batch.num_rows() == 0) {
                return Some(chosen);
            }
        }
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        loop {
            let Some(reader) = &mut self.open else {
                match self.next_segment() {
                    Some(Ok(())) => continue,
                    Some(Err(error)) => return Some(Err(error)),
                    None => return self.next_recent(),
                }
            };
            match reader.next() {
                Some(Ok(batch)) => return Some(project(&self.schema, &batch, &mut self.nulls)),
                Some(Err(error)) => {
                    self.open = None;
                    return Some(Err(error));
                }
                None => self.open = None,
            }
        }
    }
}

/// The segments in a table's directory, in order of time; not those that another stands for.
pub(crate) fn segments(table: &Path) -> Result<Vec<Segment>> {
    let mut found = all_segments(table)?;
    found.sort_by(|one, other| one.name.cmp(&other.name));
    let names: Vec<_> = found.iter().map(|segment| segment.name.clone()).collect();
    let is_covered = |name: &Name| names.iter().any(|other| other.covers(name));
    found.retain(|segment| !is_covered(&segment.name));
    Ok(found)
}

/// All of them, in no order.
pub(crate) fn all_segments(table: &Path) -> Result<Vec<Segment>> {
    let mut found = Vec::new();
    for day in entries(table)?.into_iter().filter(|path| path.is_dir()) {
        for path in entries(&day)? {
            let Some(name) = Name::parse(&path) else { continue };
            // One that has gone since is not there.
            let Ok(about) = fs::metadata(&path) else { continue };
            found.push(Segment { path, name, bytes: about.len() });
        }
    }
    Ok(found)
}

/// What is in a directory; nothing where there is none.
pub(crate) fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Ok(entries) => Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(Error::File { what: "read", path: directory.to_owned(), source }),
    }
}
