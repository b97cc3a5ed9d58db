//! `--export s3://` and `dir:` with the real agent, and what `weir sql --from` has of them.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use weir_tests::agent::Agent;
use weir_tests::flood::Flood;
use weir_tests::folder::Folder;
use weir_tests::history::keeping;
use weir_tests::inject::Injector;
use weir_tests::netns::Namespace;
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::python::interpreter;
use weir_tests::shell::{Shell, shell};
use weir_tests::wait_for;

const PORT: u16 = 9000;
const SOON: Duration = Duration::from_secs(60);
const FLOOD: Flood = Flood { packets: 900, flows: 300, mark: 1 };
/// What tells records apart.
type Id = [String; 3];

/// A server that speaks S3, with a bucket.
fn moto(namespace: &Namespace) -> Shell {
    let program = interpreter().display().to_string();
    let server =
        shell(namespace, &format!("exec {program} -m moto.server -H 127.0.0.1 -p {PORT} >/dev/null 2>&1"));
    wait_for("moto has a bucket", SOON, || {
        let made = ["-sSf", "-m", "30", "-X", "PUT", &format!("http://127.0.0.1:{PORT}/flows")];
        let mut curl = std::process::Command::new("curl");
        namespace.enter(|| curl.args(made).output()).ok()?.status.success().then_some(())
    });
    server
}

/// What is in it, below `lab`, for who has the key.
fn bucket(folder: &Folder) -> String {
    let secret = folder.write("secret", "hush\n");
    format!("s3://flows/lab?endpoint=http://127.0.0.1:{PORT}&region=eu-1&user=me&password_file={secret}")
}

fn ids(lines: &[String]) -> (BTreeSet<Id>, usize) {
    let records: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let id = |record: &Value| {
        ["flow_id", "start", "end"].map(|name| record[name].as_str().expect(name).to_owned())
    };
    (records.iter().map(id).collect(), records.len())
}

/// What is asked of `weir`, within the namespace where the store is: its lines.
fn asked(pair: &Pair, args: &[&str]) -> Vec<String> {
    let (status, stdout, stderr) = Agent::run(&pair.left, &["env", "AWS_EC2_METADATA_DISABLED=true"], args);
    assert!(status.success(), "{args:?}: {stderr:?}");
    stdout
}

/// Each record is in the store once, and the same as in the history: some after a while, the rest when the agent ends.
#[test]
fn root_stores_of_objects_have_every_record() {
    let (pair, folder) = (Pair::with_ipv6(), Folder::new("objects"));
    let _moto = moto(&pair.left);
    let (bucket, directory) = (bucket(&folder), folder.path("store"));
    let exports = [format!("{bucket}&every=1s"), format!("dir:{directory}?every=1h")];
    let exports: Vec<_> = exports.iter().flat_map(|url| ["--export", url]).collect();
    let agent = keeping(&pair, &folder, &[&["--idle-timeout", "500ms"], &exports[..]].concat());
    FLOOD.send(&Injector::open(&pair.left, INTERFACE));
    let count = ["sql", "--from", &bucket, "-o", "csv", "SELECT count(*) AS n FROM flows"];
    wait_for("the bucket has something while the agent runs", SOON, || {
        let (status, stdout, _) = Agent::run(&pair.left, &[], &count);
        (status.success() && stdout.last()?.parse::<u64>().ok()? >= FLOOD.flows).then_some(())
    });
    agent.stop().assert_books();
    let history = folder.path("history");
    let statement = "SELECT flow_id, start, \"end\" FROM flows";
    let wanted = ids(&asked(&pair, &["sql", "--data-dir", &history, "-o", "json", statement]));
    assert!(wanted.1 as u64 >= FLOOD.flows && wanted.0.len() == wanted.1);
    for store in [&bucket, &directory] {
        assert_eq!(ids(&asked(&pair, &["sql", "--from", store, "-o", "json", statement])), wanted, "{store}");
        let day = "SELECT count(*) AS n FROM flows WHERE day = '1999-12-31' OR host = 'nobody'";
        assert_eq!(asked(&pair, &["sql", "--from", store, "-o", "csv", day]), ["n", "0"]);
    }
}

/// What is wrong is said in a line, and nothing is answered.
#[test]
fn root_a_store_that_is_not_there() {
    let pair = Pair::with_ipv6();
    let nobody = format!("s3://flows?endpoint=http://127.0.0.1:{PORT}");
    for (from, says) in
        [(nobody.as_str(), "127.0.0.1"), ("/nowhere/at/all", "/nowhere/at/all"), ("s3://", "no URL")]
    {
        let wrapper = ["env", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b"];
        let (status, stdout, stderr) =
            Agent::run(&pair.left, &wrapper, &["sql", "--from", from, "SELECT count(*) FROM flows"]);
        assert!(!status.success() && stdout.is_empty(), "{from}: {stdout:?}");
        assert!(stderr.len() == 1 && stderr[0].contains(says), "{from}: {stderr:?}");
    }
}

/// One object among good ones that is none, or half of one: there is no answer that would be without it.
#[test]
fn root_a_damaged_object_is_no_answer() {
    let (pair, folder) = (Pair::with_ipv6(), Folder::new("objects"));
    let _moto = moto(&pair.left);
    let (bucket, directory) = (bucket(&folder), format!("dir:{}", folder.path("lab")));
    for store in [&bucket, &directory] {
        asked(&pair, &["export", "test", store]);
    }
    let good = objects(&folder.place().join("lab/flows")).pop().expect("an object");
    let good = fs::read(good).expect("it can be read");
    // As long as this day's others, and behind them.
    let name = "flows/day=2026-01-02/host=other/000000-000000.1.parquet";
    let put = |store: &String, content: &[u8]| {
        let file = folder.path("object");
        fs::write(&file, content).expect("a file");
        if store == &bucket {
            let url = format!("http://127.0.0.1:{PORT}/flows/lab/{name}");
            let login = ["--aws-sigv4", "aws:amz:eu-1:s3", "--user", "me:hush"];
            pair.left.run("curl", &[&["-sSf", "-T", &file, &url], &login[..]].concat());
        } else {
            let place = folder.place().join("lab").join(name);
            fs::create_dir_all(place.parent().expect("a folder")).expect("a folder");
            fs::rename(&file, place).expect("a file");
        }
    };
    for store in [&bucket, &directory] {
        for (content, says) in [
            (&good[..good.len() / 2], "Corrupt footer"),
            (b"no table at all", "Corrupt footer"),
            (b"", "is empty"),
            // What stands there leads nowhere.
            (&good[good.len() / 2..], "damaged"),
        ] {
            put(store, content);
            for statement in ["SELECT count(*) FROM flows", "SELECT source_address FROM flows"] {
                let (status, stdout, stderr) =
                    Agent::run(&pair.left, &[], &["sql", "--from", store, "-o", "csv", statement]);
                assert_eq!((status.code(), stderr.len()), (Some(1), 1), "{store}: {stdout:?} {stderr:?}");
                assert!(stderr[0].contains(says), "{store}: {stderr:?}");
                assert!(says == "damaged" || stderr[0].contains(name), "{store}: {stderr:?}");
            }
        }
        put(store, &good);
        let whole = asked(&pair, &["sql", "--from", store, "-o", "csv", "SELECT count(*) AS n FROM flows"]);
        assert_eq!(whole, ["n", "2"], "{store}");
    }
}

/// A byte of an object is another one, wherever: that is an answer, or a line that says why there is none; nothing else is
/// printed, and it ends.
#[test]
fn root_whatever_an_object_holds_there_is_an_answer_or_a_line() {
    let (pair, folder) = (Pair::with_ipv6(), Folder::new("objects"));
    let store = format!("dir:{}", folder.path("lab"));
    asked(&pair, &["export", "test", &store]);
    let object = objects(&folder.place().join("lab/flows")).pop().expect("an object");
    let good = fs::read(&object).expect("it can be read");
    let statement = "SELECT count(*), sum(bytes), max(source_address), min(\"end\") FROM flows";
    let mut refused = 0;
    for at in (0..good.len()).step_by(good.len().div_ceil(60)).chain([good.len() - 6, good.len() - 1]) {
        let mut spoilt = good.clone();
        spoilt[at] ^= 0xff;
        fs::write(&object, spoilt).expect("a file");
        let (status, stdout, stderr) =
            Agent::run(&pair.left, &["timeout", "20"], &["sql", "--from", &store, "-o", "csv", statement]);
        match status.code() {
            Some(0) => assert_eq!((stdout.len(), stderr.len()), (2, 0), "{at}: {stdout:?} {stderr:?}"),
            Some(1) => {
                refused += 1;
                assert!(stdout.is_empty() && stderr.len() == 1, "{at}: {stdout:?} {stderr:?}");
                assert!(
                    stderr[0].starts_with("weir: ") && !stderr[0].contains("panicked"),
                    "{at}: {stderr:?}"
                );
            }
            other => panic!("{at}: it ends with {other:?}: {stderr:?}"),
        }
    }
    assert!(refused > 5, "{refused} of them were refused");
}

/// All files below.
fn objects(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { objects(&path) } else { vec![path] }).collect()
}
