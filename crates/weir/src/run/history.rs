//! What is kept: flow records, with the store as a sink, and what there is beside them.

mod diary;
mod windows;

use super::{Arguments, settings};
use crate::history::of_agent;
use crate::run::arguments::{DataDir, DiskFull};
use crate::view::Nowhere;
use anyhow::Result;
use diary::{Diary, Volumes, Wanted};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use weir_agent::{Agent, Books, Closing, Outlet, Sink, forget, seen_since};
use weir_kernel::Pin;
use weir_record::{EventKind, FlowRecord};
use weir_store::{Keeper, OpenLedger, Opened, Retention, Table, WhenFull, Word, Writer, flow_batch};
use windows::Windows;

/// How to understand what an agent has left that was killed.
pub const WORD: Word = Word { seen_since, forget };

/// The store's directory, opened, and what it says later.
pub struct History {
    kept: Kept,
    told: Receiver<String>,
    beside: Beside,
}

/// What came of opening the history.
#[derive(Default)]
pub struct OpenedHistory {
    pub history: Option<History>,
    /// Where it is.
    pub directory: Option<PathBuf>,
    /// What there is to say of it, once it is said what is attached.
    pub remarks: Vec<String>,
}

/// The ledger and the events that are kept beside the records.
pub struct Beside {
    diary: Diary,
    windows: Windows,
    /// Taken away when all is written: until then the next agent knows what this one saw.
    pin: Option<Pin>,
}

impl Beside {
    /// Keeps what the ledger says if a minute is over, and until then writes it down, should nobody come to end the minute.
    pub fn look(&mut self, agent: &Agent) {
        self.diary.add(self.windows.look(agent.books(), agent.mark(self.pin.as_ref())));
    }

    /// Keeps what it says at last, and writes everything.
    pub fn finish(mut self, books: &Books) {
        self.diary.add(self.windows.close(books));
        self.diary.finish();
        if let Some(pin) = self.pin {
            pin.remove();
        }
    }
}

struct Kept {
    writer: Writer,
    // Dropped last: the directory is free then.
    _keeper: Arc<Keeper>,
}

/// Opens the history, where there shall be one. Nobody asked for the usual place by name: where it cannot be had, the
/// agent says so and runs without.
///
/// # Errors
/// It was asked for, and another agent writes there, or the directory cannot be used.
pub fn open(arguments: &Arguments, agent: &mut Agent) -> Result<OpenedHistory> {
    match &arguments.data_dir {
        Some(DataDir::Nowhere) => Ok(OpenedHistory::default()),
        Some(DataDir::Directory(directory)) => open_in(directory, arguments, agent),
        None => usual(arguments, agent),
    }
}

fn usual(arguments: &Arguments, agent: &mut Agent) -> Result<OpenedHistory> {
    let without = |remark| Ok(OpenedHistory { remarks: vec![remark], ..OpenedHistory::default() });
    let Some(directory) = of_agent() else {
        return without(
            "no history: neither XDG_STATE_HOME nor HOME says where; name a place with --data-dir, or none"
                .into(),
        );
    };
    match open_in(&directory, arguments, agent) {
        Ok(mut opened) => {
            let kept = format!("records are kept in {}; --data-dir none keeps none", directory.display());
            opened.remarks.insert(0, kept);
            Ok(opened)
        }
        Err(error) if arguments.keep_events.is_empty() => without(format!("no history: {error}")),
        Err(error) => Err(error),
    }
}

fn open_in(directory: &Path, arguments: &Arguments, agent: &mut Agent) -> Result<OpenedHistory> {
    let retention = Retention {
        age: Some(arguments.keep),
        age_1m: Some(arguments.keep_1m),
        age_1h: Some(arguments.keep_1h),
        bytes: Some(arguments.keep_bytes),
        when_full: match arguments.disk_full {
            DiskFull::DropOldest => WhenFull::DropOldest,
            DiskFull::Stop => WhenFull::Stop,
        },
    };
    let (tell, told) = channel();
    let say_later = tell.clone();
    let kinds = &arguments.keep_events;
    let tables = tables(directory, kinds);
    let tell_later = Box::new(move |line| drop(say_later.send(line)));
    let opened = Keeper::open_after(directory, tables.clone(), retention, tell_later, WORD);
    let Opened { writers, mut remarks, keeper } = opened?;
    let keeper = Arc::new(keeper);
    let written = tables.into_iter().filter(|table| table.span.is_none());
    let mut writers: Vec<_> = written.zip(writers).collect();
    let Some(flows) = writers.iter().position(|(table, _)| table.name == Table::flows().name) else {
        return Ok(OpenedHistory { remarks, ..OpenedHistory::default() });
    };
    let (_, mut writer) = writers.swap_remove(flows);
    let (mut open, windows) = (OpenLedger::beside(&mut writer), Windows::new());
    // From now on there is word of this agent, whenever it is killed.
    let pin = agent.pin(directory).map_err(|error| remarks.push(unknown(&error))).ok();
    let nothing = windows.nothing(agent.mark(pin.as_ref()));
    remarks.extend(open.write(nothing).err().map(|error| error.to_string()));
    let wanted =
        (!kinds.is_empty()).then(|| Wanted { settings: settings(arguments.clone()), kinds: kinds.clone() });
    let (diary, said) = Diary::begin(Volumes { tables: writers, open }, wanted, Arc::clone(&keeper), tell)?;
    remarks.extend(said);
    let kept = Kept { writer, _keeper: keeper };
    let beside = Beside { diary, windows, pin };
    let history = Some(History { kept, told, beside });
    Ok(OpenedHistory { history, directory: Some(directory.to_path_buf()), remarks })
}

fn unknown(error: &weir_agent::Error) -> String {
    format!("should this agent be killed, what it saw after its last interval will be in no ledger: {error}")
}

/// Those that are written, and those that were: what is old goes there, too.
fn tables(directory: &Path, kinds: &[&'static EventKind]) -> Vec<&'static Table> {
    let is_wanted = |table: &Table| kinds.iter().any(|kind| kind.table == table.name);
    let always = [Table::flows(), Table::ledger(), Table::lost_events()].map(|table| table.name);
    Table::all()
        .filter(|table| {
            always.contains(&table.name)
                || table.span.is_some()
                || is_wanted(table)
                || directory.join(table.name).is_dir()
        })
        .collect()
}

/// What the agent's loop has of the history.
pub struct Running {
    pub outlet: Outlet,
    /// Lines that the store has to say.
    pub told: Receiver<String>,
    pub beside: Option<Beside>,
}

/// What is printed and what is kept, one beside the other.
pub fn beside(printed: Option<Outlet>, history: Option<History>) -> Result<Running> {
    let Some(History { kept, told, beside }) = history else {
        let outlet = printed.map_or_else(|| Outlet::new(Nowhere), Ok)?;
        return Ok(Running { outlet, told: channel().1, beside: None });
    };
    let outlet = Outlet::with(printed, kept)?;
    Ok(Running { outlet, told, beside: Some(beside) })
}

impl Sink for Kept {
    fn name(&self) -> &str {
        "history"
    }

    fn keeps(&self) -> bool {
        true
    }

    fn write(&mut self, records: &[FlowRecord]) -> io::Result<()> {
        let batch = flow_batch(records).map_err(io::Error::other)?;
        self.writer.append(batch).map_err(io::Error::other)
    }

    fn settle(&mut self) -> io::Result<()> {
        self.writer.commit().map_err(io::Error::other)
    }

    fn finish(&mut self, _closing: &Closing) -> io::Result<()> {
        self.writer.write_segment().map_err(io::Error::other)
    }
}
