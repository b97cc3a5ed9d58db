//! Bad input: one line that says what, where and what to do; 2 for usage, 1 for the
//! environment; nothing half attached.

use std::fs;
use weir_tests::agent::{Agent, binary};
use weir_tests::folder::Folder;
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::witness::{tc_filters, tcx_links};

const INDEX: u32 = 70_002;
const USAGE: i32 = 2;
const ENVIRONMENT: i32 = 1;
const UNPRIVILEGED: &[&str] =
    &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"];
const POWERLESS_ROOT: &[&str] = &["setpriv", "--bounding-set=-all", "--inh-caps=-all"];

/// Runs weir, expects it to refuse, and returns what it said.
fn refuse(pair: &Pair, wrapper: &[&str], args: &[&str], code: i32) -> String {
    let (status, stdout, stderr) = Agent::run(&pair.left, wrapper, args);
    assert_eq!(status.code(), Some(code), "{args:?}: {stderr:?}");
    assert!(stdout.is_empty(), "{args:?}: {stdout:?}");
    assert_eq!(
        (tcx_links(INDEX), tc_filters(&pair.left, INTERFACE)),
        (0, 0),
        "{args:?} left something attached"
    );
    stderr.join("\n")
}

/// As [`refuse`], with exactly one line that names each of `mentions`.
fn refuse_in_one_line(pair: &Pair, wrapper: &[&str], args: &[&str], code: i32, mentions: &[&str]) {
    let said = refuse(pair, wrapper, args, code);
    assert!(said.starts_with("weir: ") && !said.contains('\n'), "{args:?}: {said}");
    for mention in mentions {
        assert!(said.contains(mention), "{args:?}: no {mention} in: {said}");
    }
}

fn pair() -> Pair {
    Pair::with_left_index(Some(INDEX))
}

#[test]
fn root_a_glob_that_matches_nothing() {
    let pair = pair();
    for glob in ["nosuch0", "nosuch*", "weir?x*"] {
        refuse_in_one_line(&pair, &[], &["run", "-i", glob], ENVIRONMENT, &[glob]);
    }
}

/// A name mistyped among others is a mistake too, and the one that matches does not stay attached.
#[test]
fn root_every_glob_must_match() {
    let pair = pair();
    let args = ["run", "-i", INTERFACE, "-i", "nosuch0", "--duration", "2s"];
    refuse_in_one_line(&pair, &[], &args, ENVIRONMENT, &["nosuch0"]);
}

/// Wherever it is given, a password is not repeated.
#[test]
fn root_a_password_in_a_url_is_not_said_again() {
    let pair = pair();
    let folder = Folder::new("password");
    let url = "https://user:hush@collector.example/?secret=hush";
    let file = folder.write("weir.yaml", format!("export:\n  - {url}\n"));
    for (wrapper, args) in [
        (vec![], vec!["run", "--export", url]),
        (vec![], vec!["run", "--config", &file]),
        (vec![], vec!["config", "check", &file]),
        (vec!["env", &format!("WEIR_EXPORT={url}")], vec!["run"]),
    ] {
        let (status, stdout, stderr) = Agent::run(&pair.left, &wrapper, &args);
        let said = [stdout, stderr].concat().join("\n");
        assert!(!status.success() && !said.contains("hush"), "{args:?}: {said}");
        assert!(said.contains("a password does not belong in a URL"), "{args:?}: {said}");
    }
}

/// clap may add its usage lines to the error.
#[test]
fn root_nonsense_on_the_command_line() {
    let pair = pair();
    let nonsense: &[&[&str]] = &[
        &["--interval", "0s"],
        &["--interval", "banana"],
        &["--interval=-1s"],
        &["--duration", "0s"],
        &["--duration", "5"],
        &["--idle-timeout", "0s"],
        &["--idle-timeout", "1 parsec"],
        &["--active-timeout", "0s"],
        &["--active-timeout", "99999999999999999999s"],
        &["--memory-budget", "plenty"],
        &["--memory-budget=-1"],
        &["--hook", "crook"],
        &["-o", "papyrus"],
        &["--no-such-flag"],
        &["surplus"],
    ];
    for words in nonsense {
        let said = refuse(&pair, &[], &[&["run", "-i", INTERFACE], *words].concat(), USAGE);
        let named = words[0].trim_start_matches('-').split('=').next().expect("a first part");
        assert!(said.contains(named), "{words:?}: no {named} in: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn root_a_budget_too_small_for_one_flow() {
    let pair = pair();
    for budget in ["1KiB", "1B", "0"] {
        let args = ["run", "-i", INTERFACE, "--memory-budget", budget];
        let (status, _, stderr) = Agent::run(&pair.left, &[], &args);
        assert!([Some(USAGE), Some(ENVIRONMENT)].contains(&status.code()), "{budget}: {status}");
        let first = stderr.first().expect("a word about it");
        assert!(stderr.len() == 1 || status.code() == Some(USAGE), "{stderr:?}");
        assert!(first.contains("budget"), "{first}");
        assert_eq!((tcx_links(INDEX), tc_filters(&pair.left, INTERFACE)), (0, 0));
    }
}

/// The binary is copied: an unprivileged user may not even reach the directory it was built in.
#[test]
fn root_a_user_without_privileges() {
    let pair = pair();
    let copy = std::env::temp_dir().join(format!("weirt-{}", std::process::id()));
    fs::copy(binary(), &copy).expect("a copy of the binary");
    let copied = copy.to_str().expect("UTF-8").to_owned();
    let wrapper = [UNPRIVILEGED, &["sh", "-c", "shift; exec \"$0\" \"$@\"", &copied]].concat();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        refuse_in_one_line(&pair, &wrapper, &["run", "-i", INTERFACE], ENVIRONMENT, &["CAP_", "root"]);
    }));
    fs::remove_file(&copy).expect("the copy");
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// Root in a container that gives no capabilities is no root.
#[test]
fn root_root_without_capabilities() {
    let pair = pair();
    refuse_in_one_line(&pair, POWERLESS_ROOT, &["run", "-i", INTERFACE], ENVIRONMENT, &["CAP_"]);
}

/// `weir check` tells the same beforehand: 0 where weir can run, 1 where it cannot.
#[test]
fn root_check_knows_whether_run_would_work() {
    let pair = pair();
    for (wrapper, code) in [(&[][..], 0), (POWERLESS_ROOT, 1)] {
        for args in [&["check"][..], &["check", "-o", "json"]] {
            let (status, stdout, stderr) = Agent::run(&pair.left, wrapper, args);
            assert_eq!(status.code(), Some(code), "{wrapper:?} {args:?}: {stdout:?} {stderr:?}");
            assert!(!stdout.is_empty(), "{wrapper:?} {args:?}");
        }
    }
    assert_eq!((tcx_links(INDEX), tc_filters(&pair.left, INTERFACE)), (0, 0));
}
