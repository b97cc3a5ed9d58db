//! A writer that is killed at any moment: what it acknowledged is there once, and nothing is there twice.
//!
//! The writer is this test program itself, told by a variable to be it.

mod parts;

use parts::{NOON, SECOND, Written, ids, record};
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use weir_tests::folder::Folder;

const DIRECTORY: &str = "WEIR_STORE_CRASH";
/// How often it is killed; `WEIR_STORE_KILLS` asks for more.
const KILLS: u64 = 100;

/// Writes until it is killed: batches of ten ids, each acknowledged on a line of standard output, a segment now and then.
#[test]
fn writes_until_it_is_killed() {
    let Some(directory) = env::var_os(DIRECTORY) else { return };
    let mut store = Written::open(Path::new(&directory));
    let mut next = ids(Path::new(&directory)).last().map_or(0, |last| last + 1);
    // The harness has begun a line.
    println!();
    loop {
        let batch: Vec<_> = (next..next + 10).map(|id| record(id, NOON + id * 500 * SECOND)).collect();
        store.add(&batch);
        next += 10;
        let mut out = std::io::stdout();
        writeln!(out, "{next}").and_then(|()| out.flush()).expect("a reader");
        if next.is_multiple_of(70) {
            store.writer.write_segment().expect("a segment");
        }
    }
}

/// Lets the writer live for a while, then kills it; what it said last is what it had acknowledged.
fn acknowledged(directory: &Path, life: Duration) -> Option<u64> {
    let program = env::current_exe().expect("this program");
    let mut writer = Command::new(program)
        .args(["writes_until_it_is_killed", "--exact", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the writer starts");
    let lines = BufReader::new(writer.stdout.take().expect("its output")).lines();
    let last =
        std::thread::spawn(move || lines.map_while(Result::ok).filter_map(|line| line.parse().ok()).last());
    std::thread::sleep(life);
    writer.kill().expect("it is killed");
    writer.wait().expect("it ends");
    last.join().expect("what it said")
}

#[test]
fn what_was_acknowledged_is_there_once() {
    if env::var_os(DIRECTORY).is_some() {
        return;
    }
    let kills = env::var("WEIR_STORE_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let folder = Folder::new("store");
    let mut promised = 0;
    for kill in 0..kills {
        // From the first moments of a start to many segments; no two alike.
        let life = Duration::from_micros(3_000 + kill * 7_919 % 101 * 1_187);
        promised = acknowledged(folder.place(), life).unwrap_or(promised).max(promised);
        let seen = ids(folder.place());
        drop(Written::open(folder.place()));
        let found = ids(folder.place());
        assert_eq!(seen, found, "kill {kill}: readers saw something else before it was recovered");
        // Whole batches in order: all that was promised, and at most the one that was on its way.
        let count = found.len() as u64;
        assert!(found.iter().copied().eq(0..count), "kill {kill}: not each once: {found:?}");
        assert!(
            count == promised || count == promised + 10,
            "kill {kill}: {promised} promised, {count} there"
        );
        promised = count;
    }
    assert!(promised > 0, "the writer never came to write");
}
