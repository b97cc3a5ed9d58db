//! A prompt: statements of one or more lines, with completion, and with a history of their own.

use super::{Arguments, answer};
use crate::history::state;
use crate::run::say;
use crate::stop::Stop;
use anyhow::{Context as _, Result};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Editor, Helper};
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use weir_sql::{Apart, Error, Statement};
use weir_store::Table;

const HELP: &str = "A statement ends with a semicolon: select process, sum(bytes) from flows group by 1 order by 2 desc limit 10;
show tables; and describe flows; say what there is. Tab completes, Ctrl-C ends an answer, Ctrl-D or exit ends this.";

/// Words that begin, join and end what people ask.
const WORDS: [&str; 38] = [
    "select",
    "distinct",
    "from",
    "where",
    "and",
    "or",
    "not",
    "in",
    "is null",
    "is not null",
    "like",
    "between",
    "group by",
    "having",
    "order by",
    "asc",
    "desc",
    "limit",
    "join",
    "on",
    "using",
    "with",
    "as",
    "case",
    "when",
    "then",
    "else",
    "count(",
    "sum(",
    "min(",
    "max(",
    "avg(",
    "approx_percentile_cont(",
    "date_trunc(",
    "now()",
    "interval",
    "describe",
    "show tables",
];

/// Reads and answers until there is nothing more to read.
pub fn run(engine: &Apart, arguments: &Arguments, directory: &Path) -> Result<ExitCode> {
    let mut editor: Editor<Words, DefaultHistory> = Editor::new().context("cannot read from the terminal")?;
    editor.set_helper(Some(Words));
    let mut kept = state().map(|state| state.join("weir-sql-history"));
    if let Some(path) = &kept {
        // There is none the first time.
        let _ = editor.load_history(path);
    }
    // Ctrl-C ends an answer, and nothing else.
    let stop = Stop::on_interrupt()?;
    let place = arguments.from.clone().unwrap_or_else(|| format!("The history in {}", directory.display()));
    println!("{place}. \"help\" helps, \"exit\" ends.");
    loop {
        let line = match editor.readline("weir> ") {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error).context("cannot read from the terminal"),
        };
        let text = line.trim();
        if text.is_empty() {
            continue;
        }
        let _ = editor.add_history_entry(text);
        if let Some(path) = &kept
            && let Err(error) = keep(&mut editor, path)
        {
            say(&format!("what is asked is not kept: {}: {error}", path.display()));
            kept = None;
        }
        match text.trim_end_matches(';').trim() {
            "exit" | "quit" | "\\q" => break,
            "help" | "\\h" | "?" => println!("{HELP}"),
            _ => answer_all(engine, arguments, text, &stop)?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn answer_all(engine: &Apart, arguments: &Arguments, text: &str, stop: &Stop) -> Result<()> {
    let statements = match Statement::all(text) {
        Ok(statements) => statements,
        Err(error) => {
            say(&error.to_string());
            return Ok(());
        }
    };
    stop.again();
    for statement in &statements {
        match answer(engine, arguments, statement, stop) {
            Ok(_) => {}
            Err(Error::Answer(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Err(error.into());
            }
            Err(error) => {
                say(&error.to_string());
                return Ok(());
            }
        }
    }
    Ok(())
}

/// However the prompt ends.
fn keep(editor: &mut Editor<Words, DefaultHistory>, path: &Path) -> rustyline::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    editor.append_history(path)
}

/// What it knows of SQL and of the tables.
struct Words;

impl Helper for Words {}
impl Highlighter for Words {}

impl Hinter for Words {
    type Hint = String;
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(&self, line: &str, place: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        Ok(complete(line.get(..place).unwrap_or(line)))
    }
}

/// Where the last word begins, and what it may become.
fn complete(line: &str) -> (usize, Vec<Pair>) {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let start = line
        .rfind(|letter| !is_part(letter))
        .map_or(0, |place| place + line[place..].chars().next().map_or(1, char::len_utf8));
    let begun = line[start..].to_lowercase();
    let named: Vec<_> = Table::all().filter(|table| line.contains(table.name)).collect();
    // Columns of all tables as long as none is named.
    let tables: Vec<_> = if named.is_empty() { Table::all().collect() } else { named };
    let columns = tables.iter().flat_map(|table| table.columns.iter().map(|column| column.name));
    let mut words: Vec<_> =
        WORDS.into_iter().chain(Table::all().map(|table| table.name)).chain(columns).collect();
    words.retain(|word| !begun.is_empty() && word.starts_with(&begun));
    words.sort_unstable();
    words.dedup();
    let pair = |word: &str| Pair { display: word.into(), replacement: word.into() };
    (start, words.into_iter().map(pair).collect())
}

impl Validator for Words {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input().trim();
        let is_whole = text.is_empty()
            || text.ends_with(';')
            || matches!(text, "exit" | "quit" | "help" | "?" | "\\q" | "\\h");
        Ok(if is_whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(line: &str) -> Vec<String> {
        complete(line).1.into_iter().map(|pair| pair.replacement).collect()
    }

    #[test]
    fn words_tables_and_columns_are_completed() {
        assert_eq!(completed("sel"), ["select"]);
        assert!(completed("select sum(rev").contains(&"reverse_bytes".into()));
        assert!(completed("select * from fl").contains(&"flows".into()));
        assert!(
            completed("select * from ledger where lost_sp").iter().all(|word| word.starts_with("lost_spill"))
        );
        assert!(completed("select * from flows where en").contains(&"end".into()));
        assert!(completed("select ").is_empty());
        assert_eq!(complete("select é.by").0, "select é.".len());
    }
}
