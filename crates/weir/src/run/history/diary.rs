//! What is kept beside flow records, on a thread of its own: events, what is missing of them, and the ledger.

use super::windows::Page;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};
use weir_agent::{Settings, Told, Tracer, unix_now};
use weir_record::{EventKind, LedgerWindow, Lost, Value};
use weir_store::{Keeper, OpenLedger, OpenWindows, Rows, Table, Writer};

/// How often it is asked what has happened.
const GLANCE: Duration = Duration::from_millis(250);
/// How often what was heard is made to last.
const SETTLE: Duration = Duration::from_secs(1);
/// How often it is said that something could not be kept.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Events that shall be kept, and how they are heard.
pub struct Wanted {
    pub settings: Settings,
    pub kinds: Vec<&'static EventKind>,
}

/// What it is written in: tables, and what is open of the ledger.
pub struct Volumes {
    pub tables: Vec<(&'static Table, Writer)>,
    pub open: OpenLedger,
}

/// The near end: pages of the ledger go in, and at the end everything is written.
pub struct Diary {
    pages: Sender<Page>,
    thread: JoinHandle<()>,
}

impl Diary {
    /// Begins to keep what these tables are for; and what a user should know.
    ///
    /// # Errors
    /// The kernel refuses to tell of events.
    pub fn begin(
        volumes: Volumes,
        wanted: Option<Wanted>,
        keeper: Arc<Keeper>,
        tell: Sender<String>,
    ) -> anyhow::Result<(Self, Vec<String>)> {
        let (pages, inbox) = channel();
        let (ready, is_ready) = channel();
        let begin = move || {
            let opened = wanted.map(|wanted| Tracer::open(&wanted.settings, &wanted.kinds)).transpose();
            let (tracer, remarks) = match opened.map(Option::unzip) {
                Ok((tracer, remarks)) => (tracer, remarks.unwrap_or_default()),
                Err(error) => return drop(ready.send(Err(error))),
            };
            let _ = ready.send(Ok(remarks));
            Scribe::new(volumes, tracer, tell).write(&inbox);
            drop(keeper);
        };
        let thread = Builder::new().name("weir-diary".into()).spawn(begin)?;
        match is_ready.recv() {
            Ok(remarks) => Ok((Self { pages, thread }, remarks?)),
            Err(_) => anyhow::bail!("cannot keep events: their thread has ended"),
        }
    }

    /// Has a page written.
    pub fn add(&self, page: Page) {
        // A scribe that has ended has said why.
        let _ = self.pages.send(page);
    }

    /// Writes all that is left.
    pub fn finish(self) {
        drop(self.pages);
        let _ = self.thread.join();
    }
}

/// A table that grows.
struct Growing {
    table: &'static Table,
    writer: Writer,
    rows: Rows,
}

impl Growing {
    /// Makes what was added last; or how much of it is lost, and why. The writer is always asked: it empties itself then.
    fn settle(&mut self) -> Result<(), (usize, weir_store::Error)> {
        let count = self.rows.count();
        let appended =
            if count > 0 { self.rows.batch().and_then(|batch| self.writer.append(batch)) } else { Ok(()) };
        let committed = self.writer.commit();
        appended.and(committed).map_err(|error| (count, error))
    }
}

struct Scribe {
    tables: HashMap<&'static str, Growing>,
    open: OpenLedger,
    tracer: Option<Tracer>,
    tell: Sender<String>,
    settled: Instant,
    /// What could not be written and was not spoken of yet, and when that was last done.
    unspoken: (usize, Option<Instant>),
    /// When it was last said that what is open could not be written.
    said_open: Option<Instant>,
}

impl Scribe {
    fn new(volumes: Volumes, tracer: Option<Tracer>, tell: Sender<String>) -> Self {
        let growing = |(table, writer): (&'static Table, Writer)| {
            (table.name, Growing { table, writer, rows: Rows::new(table) })
        };
        let tables = volumes.tables.into_iter().map(growing).collect();
        let (open, settled, unspoken, said_open) = (volumes.open, Instant::now(), (0, None), None);
        Self { tables, open, tracer, tell, settled, unspoken, said_open }
    }

    fn write(mut self, inbox: &Receiver<Page>) {
        loop {
            match inbox.recv_timeout(if self.tracer.is_some() { GLANCE } else { SETTLE }) {
                Ok(page) => {
                    if self.take(page, inbox) {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                // The agent ends in disorder: the next one closes what is open.
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.hear();
            if self.settled.elapsed() >= SETTLE {
                self.settle();
            }
        }
        self.hear();
        self.settle();
        for growing in self.tables.values_mut() {
            if let Err(error) = growing.writer.write_segment() {
                let _ = self.tell.send(format!("history of {}: {error}", growing.table.name));
            }
        }
        if let Err(error) = self.open.finish() {
            let _ = self.tell.send(error.to_string());
        }
    }

    /// Where several pages wait, what is open is that of the last. Whether it was the last of all.
    fn take(&mut self, page: Page, inbox: &Receiver<Page>) -> bool {
        let mut latest = page;
        for next in inbox.try_iter() {
            let passed = std::mem::replace(&mut latest, next);
            if !passed.ended.is_empty() {
                self.keep(passed);
            }
        }
        let is_last = latest.open.is_none();
        self.keep(latest);
        is_last
    }

    /// What is open is written first: it has the windows that ended until they last, and the next one does not.
    fn keep(&mut self, page: Page) {
        if let Some(open) = page.open {
            self.keep_open(open);
        }
        if let Some(ledger) = self.tables.get_mut(Table::ledger().name).filter(|_| !page.ended.is_empty()) {
            for window in &page.ended {
                ledger.rows.push(LedgerWindow::columns().map(|column| (column.read)(window)));
            }
            self.settle();
        }
    }

    fn keep_open(&mut self, open: OpenWindows) {
        let Err(error) = self.open.write(open) else { return };
        if self.said_open.is_none_or(|last| last.elapsed() >= SAY_EVERY) {
            let _ = self.tell.send(format!("the open minute of the ledger: {error}"));
            self.said_open = Some(Instant::now());
        }
    }

    fn hear(&mut self) {
        let Self { tables, tracer: Some(tracer), tell, .. } = self else { return };
        let heard = tracer.hear(|told| keep(tables, &told));
        tracer.remarks().into_iter().for_each(|remark| drop(tell.send(remark)));
        if let Err(error) = heard {
            let _ = tell.send(format!("no events are kept any more: {error}"));
            self.tracer = None;
        }
    }

    /// Makes what was heard last. What cannot be written is counted, and told of in the table of what is missing.
    fn settle(&mut self) {
        self.settled = Instant::now();
        let mut failed = Vec::new();
        for growing in self.tables.values_mut() {
            if let Err((count, error)) = growing.settle() {
                failed.push((growing.table.name, count, error));
            }
        }
        for (table, count, error) in failed {
            keep(
                &mut self.tables,
                &Told::Lost(Lost { probe: "history", events: count as u64, cause: "not_written" }),
            );
            self.unspoken.0 += count;
            if self.unspoken.1.is_none_or(|last| last.elapsed() >= SAY_EVERY) {
                let lost = std::mem::take(&mut self.unspoken.0);
                let _ = self.tell.send(format!("history of {table}: {lost} rows lost: {error}"));
                self.unspoken.1 = Some(self.settled);
            }
        }
    }
}

fn keep(tables: &mut HashMap<&'static str, Growing>, told: &Told) {
    match told {
        Told::Event(event) => {
            if let Some(growing) = tables.get_mut(event.happening.kind().table) {
                growing.rows.push_event(event);
            }
        }
        Told::Lost(lost) => {
            if let Some(growing) = tables.get_mut(Table::lost_events().name) {
                growing.rows.push([
                    Value::Time(unix_now()),
                    Value::Text(lost.probe.into()),
                    Value::Text(lost.cause.into()),
                    Value::Number(lost.events),
                ]);
            }
        }
    }
}
