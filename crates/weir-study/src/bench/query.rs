//! Questions to the history, beside DuckDB on the same files.

use crate::bench::Effort;
use crate::bench::agent::binary;
use crate::bench::report::{Report, Row, Table, Target};
use crate::bench::store::{Directory, records::Records};
use crate::spread::Spread;
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use weir_store::{Keeper, Opened, Retention, flow_batch};

/// A day that is over, from its beginning.
const DAY: u64 = 1_794_960_000_000_000_000;
const MINUTES: u64 = 24 * 60;
const MINUTE: u64 = 60_000_000_000;
/// Minutes that a writer has in memory before it makes a segment of them.
const TOGETHER: u64 = 5;
/// A merge is not waited for longer than this.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(600);

/// A question, in words that both understand; `{flows}` is the table.
struct Question {
    name: &'static str,
    sql: String,
    target: Option<Target>,
    beside_duckdb: Option<Target>,
}

fn questions(address: &str) -> [Question; 3] {
    let hour = "\"end\" >= timestamp '2026-11-18 23:00:00+00:00'";
    [
        Question {
            name: "one address in the last hour",
            sql: format!(
                "select count(*), sum(bytes) from {{flows}} where {hour} and (source_address = '{address}' or destination_address = '{address}')"
            ),
            target: Some(Target::AtMost(100.0)),
            beside_duckdb: None,
        },
        Question {
            name: "the day's ten addresses with the most bytes",
            sql: "select source_address, sum(bytes) as sent from {flows} group by source_address order by sent desc, source_address limit 10".into(),
            target: Some(Target::AtMost(1000.0)),
            beside_duckdb: None,
        },
        Question {
            name: "everything added up by protocol and port",
            sql: "select protocol, destination_port, count(*), sum(bytes), sum(packets), sum(reverse_bytes) from {flows} group by protocol, destination_port order by 3 desc, 1, 2 limit 10".into(),
            target: None,
            beside_duckdb: Some(Target::AtMost(1.3)),
        },
    ]
}

/// Ten million records of a day, asked again and again, by turns.
pub fn run(effort: Effort, report: &mut Report) -> Result<()> {
    let records: u64 = if effort.rounds > 3 { 10_000_000 } else { 1_000_000 };
    let directory = Directory::new()?;
    let address = fill(&directory.0, records / MINUTES)?;
    let mut rows = Vec::new();
    for question in questions(&address) {
        rows.extend(compare(&question, &directory.0, effort.rounds)?);
    }
    let files = glob(&directory.0.join("flows"))?;
    report.add(Table {
        title: "query".into(),
        unit: format!("ms; {} records of a day in {files} files, in the page cache", records / MINUTES * MINUTES),
        digits: 1,
        rows,
        notes: vec![
            "weir: `weir sql`, the whole process from its start to its end; DuckDB: the query alone, in a Python that has it loaded".into(),
        ],
    });
    Ok(())
}

/// Writes them, waits until small segments have been merged; an address that is in the last hour.
fn fill(directory: &Path, a_minute: u64) -> Result<String> {
    let tables = vec![weir_store::Table::flows()];
    let Opened { mut writers, keeper, .. } =
        Keeper::open(directory, tables, Retention::default(), Box::new(drop))?;
    let writer = writers.first_mut().context("a table has a writer")?;
    let mut made = Records::new();
    let mut address = String::new();
    for minute in 0..MINUTES {
        let records = made.make(usize::try_from(a_minute)?, DAY + minute * MINUTE);
        address =
            records.last().and_then(|one| one.key.addresses()).map_or(address, |(one, _)| one.to_string());
        writer.append(flow_batch(&records)?)?;
        if minute % TOGETHER == TOGETHER - 1 {
            writer.commit()?;
            writer.write_segment()?;
        }
    }
    writer.write_segment()?;
    settle(&directory.join("flows"))?;
    drop(keeper);
    Ok(address)
}

/// The keeper looks after the directory every half minute: twice nothing means that nothing is left to do.
fn settle(flows: &Path) -> Result<()> {
    let (start, mut before) = (Instant::now(), (0, Instant::now()));
    while start.elapsed() < PATIENCE {
        let now = glob(flows)?;
        if now != before.0 {
            before = (now, Instant::now());
        } else if before.1.elapsed().as_secs() > 70 {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    bail!("segments are still being merged")
}

/// How many files there are.
fn glob(flows: &Path) -> Result<usize> {
    let mut count = 0;
    for day in std::fs::read_dir(flows)?.filter_map(Result::ok).filter(|entry| entry.path().is_dir()) {
        let files = std::fs::read_dir(day.path())?.filter_map(Result::ok);
        count += files.filter(|file| file.path().extension().is_some_and(|end| end == "parquet")).count();
    }
    Ok(count)
}

/// Both, by turns, and the same answer of both.
fn compare(question: &Question, directory: &Path, rounds: usize) -> Result<[Row; 2]> {
    let mut duckdb = DuckDb::start(directory)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // The first of each finds nothing in the page cache.
    for round in 0..=rounds {
        let start = Instant::now();
        let answer = weir(directory, &question.sql)?;
        let took = start.elapsed().as_secs_f64() * 1000.0;
        let (other, their) = duckdb.ask(&question.sql)?;
        ensure!(answer == other, "{}: weir says\n{answer}\nDuckDB\n{other}", question.name);
        if round > 0 {
            ours.push(took);
            theirs.push(their);
        }
    }
    let ratios = Spread::of(ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs));
    let row = |name: String, value, ratio, target| Row { name, value: Spread::of(value), ratio, target };
    let (ratio, target) = match question.beside_duckdb {
        Some(target) => (Some(ratios), Some(target)),
        None => (None, question.target),
    };
    Ok([
        row(format!("{}: weir", question.name), ours, ratio, target),
        row(format!("{}: DuckDB", question.name), theirs, None, None),
    ])
}

/// What `weir sql` prints.
fn weir(directory: &Path, sql: &str) -> Result<String> {
    let output = Command::new(binary()?)
        .args(["sql", "-o", "csv", "--data-dir"])
        .arg(directory)
        .arg(sql.replace("{flows}", "flows"))
        .output()
        .context("cannot start weir")?;
    ensure!(output.status.success(), "weir sql: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().skip(1).map(|line| format!("{line}\n")).collect())
}

/// A Python with DuckDB in it, which answers line by line.
struct DuckDb {
    child: std::process::Child,
    answers: std::io::BufReader<std::process::ChildStdout>,
    flows: String,
}

const PYTHON: &str = r#"
import csv, duckdb, io, json, sys, time
con = duckdb.connect()
for line in sys.stdin:
    start = time.perf_counter()
    rows = con.execute(json.loads(line)).fetchall()
    took = time.perf_counter() - start
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    print(json.dumps([out.getvalue(), took * 1000]), flush=True)
"#;

impl DuckDb {
    fn start(directory: &Path) -> Result<Self> {
        let python = binary()?;
        let python = python.ancestors().nth(2).map(|target| target.join("python/bin/python3"));
        let python = python.filter(|path| path.exists()).context("there is no DuckDB: scripts/setup test")?;
        let piped = std::process::Stdio::piped;
        let mut child = Command::new(python).args(["-c", PYTHON]).stdin(piped()).stdout(piped()).spawn()?;
        let answers = std::io::BufReader::new(child.stdout.take().context("a pipe")?);
        Ok(Self { child, answers, flows: format!("'{}/flows/*/*.parquet'", directory.display()) })
    }

    /// Its answer, and the milliseconds that it took.
    fn ask(&mut self, sql: &str) -> Result<(String, f64)> {
        use std::io::{BufRead, Write};
        let line = serde_json::to_string(&sql.replace("{flows}", &self.flows))?;
        let pipe = self.child.stdin.as_mut().context("a pipe")?;
        writeln!(pipe, "{line}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        serde_json::from_str(&answer).context("DuckDB does not answer")
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
