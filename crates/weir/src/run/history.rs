//! Records that are kept: the store as a sink.

use super::{Arguments, say};
use crate::run::arguments::DiskFull;
use crate::view::Nowhere;
use anyhow::Result;
use std::io;
use std::sync::mpsc::{Receiver, channel};
use weir_agent::{Closing, Outlet, Sink};
use weir_record::FlowRecord;
use weir_store::{FlowRows, Keeper, Opened, Retention, Table, WhenFull, Writer};

/// The store's directory, opened, and what it says later.
pub struct History {
    kept: Kept,
    told: Receiver<String>,
}

struct Kept {
    writer: Writer,
    rows: FlowRows,
    // Dropped last: the directory is free then.
    _keeper: Keeper,
}

/// Opens the history, where there shall be one.
///
/// # Errors
/// Another agent writes there, or the directory cannot be used.
pub fn open(arguments: &Arguments) -> Result<Option<History>> {
    let Some(directory) = &arguments.data_dir else { return Ok(None) };
    let retention = Retention {
        age: Some(arguments.keep),
        bytes: Some(arguments.keep_bytes),
        when_full: match arguments.disk_full {
            DiskFull::DropOldest => WhenFull::DropOldest,
            DiskFull::Stop => WhenFull::Stop,
        },
    };
    let (tell, told) = channel();
    let tell = Box::new(move |line| drop(tell.send(line)));
    let Opened { writers, remarks, keeper } = Keeper::open(directory, vec![Table::flows()], retention, tell)?;
    remarks.iter().for_each(|line| say(line));
    let kept =
        writers.into_iter().next().map(|writer| Kept { writer, rows: FlowRows::default(), _keeper: keeper });
    Ok(kept.map(|kept| History { kept, told }))
}

/// What is printed and what is kept, one beside the other; and the lines that the store has to say.
pub fn beside(printed: Option<Outlet>, history: Option<History>) -> Result<(Outlet, Receiver<String>)> {
    Ok(match (printed, history) {
        (Some(printed), Some(History { kept, told })) => (printed.and(kept)?, told),
        (Some(printed), None) => (printed, channel().1),
        (None, Some(History { kept, told })) => (Outlet::new(kept)?, told),
        (None, None) => (Outlet::new(Nowhere)?, channel().1),
    })
}

impl Sink for Kept {
    fn name(&self) -> &'static str {
        "history"
    }

    fn write(&mut self, records: &[FlowRecord]) -> io::Result<()> {
        let batch = self.rows.batch(records).map_err(io::Error::other)?;
        self.writer.append(batch).map_err(io::Error::other)
    }

    fn settle(&mut self) -> io::Result<()> {
        self.writer.commit().map_err(io::Error::other)
    }

    fn finish(&mut self, _closing: &Closing) -> io::Result<()> {
        self.writer.write_segment().map_err(io::Error::other)
    }
}
