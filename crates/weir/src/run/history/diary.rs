//! What is kept beside flow records, on a thread of its own: events, what is missing of them, and the ledger.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};
use weir_agent::{Settings, Told, Tracer, unix_now};
use weir_record::{EventKind, LedgerWindow, Lost, Value};
use weir_store::{Keeper, Rows, Table, Writer};

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

/// The near end: windows of the ledger go in, and at the end everything is written.
pub struct Diary {
    windows: Sender<Vec<LedgerWindow>>,
    thread: JoinHandle<()>,
}

impl Diary {
    /// Begins to keep what these tables are for; and what a user should know.
    ///
    /// # Errors
    /// The kernel refuses to tell of events.
    pub fn begin(
        tables: Vec<(&'static Table, Writer)>,
        wanted: Option<Wanted>,
        keeper: Arc<Keeper>,
        tell: Sender<String>,
    ) -> anyhow::Result<(Self, Vec<String>)> {
        let (windows, inbox) = channel();
        let (ready, is_ready) = channel();
        let begin = move || {
            let opened = wanted.map(|wanted| Tracer::open(&wanted.settings, &wanted.kinds)).transpose();
            let (tracer, remarks) = match opened.map(Option::unzip) {
                Ok((tracer, remarks)) => (tracer, remarks.unwrap_or_default()),
                Err(error) => return drop(ready.send(Err(error))),
            };
            let _ = ready.send(Ok(remarks));
            Scribe::new(tables, tracer, tell).write(&inbox);
            drop(keeper);
        };
        let thread = Builder::new().name("weir-diary".into()).spawn(begin)?;
        match is_ready.recv() {
            Ok(remarks) => Ok((Self { windows, thread }, remarks?)),
            Err(_) => anyhow::bail!("cannot keep events: their thread has ended"),
        }
    }

    /// Has these windows written.
    pub fn add(&self, windows: Vec<LedgerWindow>) {
        if !windows.is_empty() {
            // A scribe that has ended has said why.
            let _ = self.windows.send(windows);
        }
    }

    /// Writes all that is left.
    pub fn finish(self) {
        drop(self.windows);
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
    tracer: Option<Tracer>,
    tell: Sender<String>,
    settled: Instant,
    /// What could not be written and was not spoken of yet, and when that was last done.
    unspoken: (usize, Option<Instant>),
}

impl Scribe {
    fn new(tables: Vec<(&'static Table, Writer)>, tracer: Option<Tracer>, tell: Sender<String>) -> Self {
        let growing = |(table, writer): (&'static Table, Writer)| {
            (table.name, Growing { table, writer, rows: Rows::new(table) })
        };
        let tables = tables.into_iter().map(growing).collect();
        Self { tables, tracer, tell, settled: Instant::now(), unspoken: (0, None) }
    }

    fn write(mut self, inbox: &Receiver<Vec<LedgerWindow>>) {
        loop {
            match inbox.recv_timeout(if self.tracer.is_some() { GLANCE } else { SETTLE }) {
                Ok(windows) => self.keep_windows(&windows),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
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
    }

    fn keep_windows(&mut self, windows: &[LedgerWindow]) {
        if let Some(ledger) = self.tables.get_mut(Table::ledger().name) {
            for window in windows {
                ledger.rows.push(LedgerWindow::columns().map(|column| (column.read)(window)));
            }
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
