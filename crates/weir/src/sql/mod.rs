//! `weir sql`: what was kept, asked in SQL.

mod explained;
mod prompt;
mod rows;
mod shown;

use crate::history;
use crate::mask::masked;
use crate::options;
use crate::output::end;
use crate::run::say;
use crate::stop::Stop;
use anyhow::{Context, Result, bail};
use clap::Args;
use shown::Format;
pub use shown::Lines;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use weir_export::Kept;
use weir_record::EventKind;
use weir_sql::{Apart, Error, Objects, Source, Statement, TableReport};
use weir_store::Store;

/// What the shell says of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Flags of `weir sql`.
#[derive(Args)]
pub struct Arguments {
    /// What to ask, several statements with semicolons between them; without this a prompt, or what comes in a pipe
    #[arg(value_name = "SQL")]
    statements: Option<String>,

    /// Say which files an answer takes, and which could be passed over, instead of the answer
    #[arg(long)]
    explain: bool,

    /// How answers are printed
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,

    /// What a query may hold in memory; what it cannot put into files beyond that fails
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = options::size)]
    memory: u64,

    /// The directory of the history; /var/lib/weir without this, or a user's own: ~/.local/state/weir
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// What exporters have put into a store of objects, or into a directory, instead of the history: s3://BUCKET/PREFIX,
    /// gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or dir:PATH, with the options of `weir run --export`
    #[arg(long, value_name = "URL", conflicts_with = "data_dir")]
    from: Option<String>,
}

/// Answers, or asks for questions.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.explain && arguments.output == Format::Csv {
        say("--explain: what files an answer takes is a table or json");
        return Ok(ExitCode::from(2));
    }
    let directory = history::directory(arguments.data_dir.as_deref());
    let memory = usize::try_from(arguments.memory).unwrap_or(usize::MAX);
    let engine = match &arguments.from {
        None => {
            // That it can be read is said at once.
            history::open(&directory)?;
            Apart::new(&directory, memory)
        }
        Some(url) => match url.parse::<Kept>() {
            Ok(_) => Apart::from(url, memory),
            Err(mistake) => {
                say(&masked(&format!("--from: {mistake}")));
                return Ok(ExitCode::from(2));
            }
        },
    };
    let text = match &arguments.statements {
        Some(text) => text.clone(),
        None if io::stdin().is_terminal() => return prompt::run(&engine, arguments, &directory),
        None => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).context("cannot read statements from standard input")?;
            text
        }
    };
    let statements = match Statement::all(&text) {
        Ok(statements) if statements.is_empty() => {
            bail!("there is no statement to answer: weir sql 'show tables'")
        }
        Ok(statements) => statements,
        Err(error) => return mistaken(&error),
    };
    let stop = Stop::new(None)?;
    let mut is_whole = true;
    for statement in &statements {
        match answer(&engine, arguments, statement, &stop) {
            Ok(whole) => is_whole &= whole,
            Err(Error::Interrupted) if stop.is_signalled() => return Ok(ExitCode::from(INTERRUPTED)),
            // Nobody reads any more.
            Err(Error::Interrupted) => return Ok(ExitCode::SUCCESS),
            Err(Error::Answer(error)) => return end(Err(error)),
            Err(error @ Error::Query(_)) => return mistaken(&error),
            Err(error) => return Err(error.into()),
        }
    }
    // An answer that is not whole is not like one that is.
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Answers one question, in a process that was started for it; the word after [`weir_sql::NAME`] is the directory.
pub fn serve() -> Result<ExitCode> {
    let mut words = std::env::args_os().skip(2);
    let directory = words.next().context("no directory")?;
    let url = words.next().filter(|_| directory == weir_sql::FROM);
    weir_sql::serve(|| match url {
        Some(url) => objects(&url.to_string_lossy()).map_err(Error::Read),
        None => Ok(Source::History(Store::open(Path::new(&directory))?)),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What lies there, or why it cannot be asked.
fn objects(url: &str) -> std::result::Result<Source, String> {
    let kept: Kept = url.parse()?;
    let store = kept.open().map_err(|error| kept.about(&error).to_string())?;
    Ok(Source::Objects(Objects::new(store, kept.prefix())))
}

/// How to have events in a table that has none.
fn unkept(table: &TableReport) -> Option<String> {
    let kind = EventKind::ALL.into_iter().find(|kind| kind.table == table.name)?;
    let is_empty = table.segments.is_empty() && table.recent == 0;
    is_empty
        .then(|| format!("nothing is kept in {}: weir run --keep-events {} keeps it", table.name, kind.name))
}

fn mistaken(error: &Error) -> Result<ExitCode> {
    say(&error.to_string());
    Ok(ExitCode::from(2))
}

/// Prints one answer. Whether it is whole.
fn answer(
    engine: &Apart,
    arguments: &Arguments,
    statement: &Statement,
    stop: &Stop,
) -> std::result::Result<bool, Error> {
    let report = if arguments.explain {
        let report = engine.ask(statement, &mut explained::Unshown, || stop.is_due())?;
        explained::print(&report, arguments.output).map_err(Error::Answer)?;
        report
    } else {
        let mut shown = shown::Shown::new(arguments.output);
        let asked = engine.ask(statement, &mut shown, || stop.is_due());
        // What has come of an answer that fails later is shown, too.
        let ended = shown.end().map_err(Error::Answer);
        let report = asked?;
        ended?;
        report
    };
    report.tables.iter().filter_map(unkept).for_each(|hint| say(&hint));
    for damaged in &report.damaged {
        say(&format!("{damaged}: the answer is without it"));
    }
    Ok(report.damaged.is_empty())
}
