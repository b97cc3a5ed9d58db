//! `weir trace`: events as they happen.

mod column;
mod rows;
mod wanted;

use crate::options;
use crate::output::{self, Output};
use crate::run::{say, settings_with};
use crate::stop::Stop;
use anyhow::Result;
use clap::Args;
use glob::Pattern;
use rows::Rows;
use serde::Serialize;
use serde_json::{Map, Value};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;
use weir_agent::{Settings, Told, Tracer};
use weir_record::{Event, EventKind};

/// How long an event waits at most until it is shown.
const GLANCE: Duration = Duration::from_millis(50);

/// Flags of `weir trace`.
#[derive(Args)]
pub struct Arguments {
    /// What to hear of: exec, bind, connect, accept, retransmit, tcp, dns, sni, drop; several are shown in one stream
    #[arg(value_name = "KIND", required = true, value_parser = options::event_kind)]
    kinds: Vec<&'static EventKind>,

    /// Only events that fit, by what docs/events.md lists; see docs/filter.md
    #[arg(long, value_name = "EXPR")]
    filter: Option<String>,

    /// Only events of these processes, at either end: a pid, or a name or glob
    #[arg(long, value_name = "PID|GLOB")]
    process: Vec<String>,

    /// Only events of these containers, at either end: the beginning of an id, or a name or glob
    #[arg(long, value_name = "ID|GLOB", value_parser = options::glob)]
    container: Vec<Pattern>,

    /// table, or json: one object a line
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,

    /// Ports of DNS servers, four at most; 53 and 5353 without this
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    dns_port: Vec<u16>,

    /// What DNS was asked for and has not answered by then is unanswered
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = options::duration)]
    dns_timeout: Duration,

    /// What to show of each, in this order: names as in docs/events.md, and `source` and `destination` for address and port
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    fields: Vec<String>,

    /// End after this time
    #[arg(long, value_name = "TIME", value_parser = options::duration)]
    duration: Option<Duration>,

    /// End after so many events
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

/// Those of an agent, but for what was asked for.
fn settings(arguments: &Arguments) -> Result<Settings> {
    let mut settings = settings_with(&[])?;
    settings.naming.dns_timeout = arguments.dns_timeout;
    if !arguments.dns_port.is_empty() {
        settings.naming.dns_ports.clone_from(&arguments.dns_port);
    }
    Ok(settings)
}

/// Prints events until it is told to end.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let (wanted, columns) = match wanted::read(arguments) {
        Ok(read) => read,
        Err(mistake) => {
            say(&mistake);
            return Ok(ExitCode::from(2));
        }
    };
    let mut stop = Stop::new(None)?;
    let (mut tracer, remarks) = Tracer::open(&settings(arguments)?, &arguments.kinds)?;
    remarks.iter().for_each(|remark| say(remark));
    let names: Vec<_> = arguments.kinds.iter().map(|kind| kind.name).collect();
    say(&format!("hears of {} in every network namespace, until Ctrl-C", names.join(", ")));
    let mut screen: Box<dyn Shows> = match arguments.output {
        Output::Table => Box::new(Rows::new(columns)),
        Output::Json => Box::new(Lines { fields: &arguments.fields }),
    };
    stop.after(arguments.duration);
    let mut left = arguments.count.unwrap_or(u64::MAX);
    let mut printed = screen.begin();
    while printed.is_ok() && left > 0 && !stop.is_due() {
        std::thread::sleep(GLANCE);
        tracer.hear(|told| {
            let is_event = match &told {
                Told::Event(event) if !wanted.wants(event) => return,
                Told::Event(_) => true,
                Told::Lost(_) => false,
            };
            if left > 0 && printed.is_ok() {
                left -= u64::from(is_event);
                printed = screen.show(&told);
            }
        })?;
        printed = printed.and_then(|()| io::stdout().flush());
        tracer.remarks().iter().for_each(|remark| say(remark));
    }
    output::end(printed)
}

/// Where events are shown.
trait Shows {
    /// What comes before the first.
    fn begin(&mut self) -> io::Result<()>;

    /// One of them, or that some are missing.
    fn show(&mut self, told: &Told) -> io::Result<()>;
}

/// A line of JSON each.
struct Lines<'a> {
    /// All of its kind where there are none.
    fields: &'a [String],
}

impl Shows for Lines<'_> {
    fn begin(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn show(&mut self, told: &Told) -> io::Result<()> {
        match told {
            Told::Event(event) if self.fields.is_empty() => line(event),
            Told::Event(event) => line(&chosen(event, self.fields)?),
            Told::Lost(lost) => line(lost),
        }
    }
}

fn chosen(event: &Event, fields: &[String]) -> io::Result<Map<String, Value>> {
    let kind = event.happening.kind();
    let mut object = Map::new();
    object.insert("type".into(), kind.name.into());
    for name in fields.iter().filter(|name| *name != "type") {
        let value = kind.column(name).map(|column| serde_json::to_value(column.read(event)));
        object.insert(name.clone(), value.transpose()?.unwrap_or(Value::Null));
    }
    Ok(object)
}

fn line(object: &impl Serialize) -> io::Result<()> {
    output::json_line(&mut io::stdout().lock(), object)
}
