//! Completions and man pages, with the programs that read them.

#[expect(dead_code, reason = "nothing here needs root")]
mod common;

use common::{WEIR, output, succeed, text};
use std::process::Command;

/// What bash offers for the last word.
fn complete(words: &[&str]) -> Vec<String> {
    const SCRIPT: &str = r#"set -u
        source <("$1" completions bash)
        shift
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        COMPREPLY=()
        _weir weir "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", SCRIPT, "bash", WEIR]).args(words);
    succeed(&mut bash).lines().map(str::to_string).collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let completed = succeed(Command::new("bash").args([
        "--norc",
        "-c",
        r#"source <("$1" completions bash); complete -p weir"#,
        "bash",
        WEIR,
    ]));
    assert!(completed.contains("-F _weir"), "{completed}");
    assert_eq!(complete(&["weir", "ru"]), ["run"]);
    assert_eq!(complete(&["weir", "run", "--idle-t"]), ["--idle-timeout"]);
    assert_eq!(complete(&["weir", "run", "--hook", ""]), ["auto", "tcx", "clsact"]);
    assert_eq!(complete(&["weir", "config", "sh"]), ["show"]);
    assert_eq!(complete(&["weir", "completions", "z"]), ["zsh"]);
}

#[test]
fn other_shells_have_scripts_with_every_command() {
    for shell in ["zsh", "fish", "elvish"] {
        let script = succeed(Command::new(WEIR).args(["completions", shell]));
        for word in ["config", "completions", "idle-timeout", "clsact"] {
            assert!(script.contains(word), "{shell}: no {word}");
        }
    }
    let outcome = output(Command::new(WEIR).args(["completions", "tcsh"]));
    let said = text(&outcome.stderr);
    assert_eq!((outcome.status.code(), said.lines().count()), (Some(2), 1), "{said}");
}

/// What groff makes of a page; a complaint fails the test.
fn rendered(page: &std::path::Path) -> String {
    let outcome = output(Command::new("groff").args(["-man", "-Tascii", "-P-cbou", "-ww"]).arg(page));
    assert!(outcome.status.success() && outcome.stderr.is_empty(), "{page:?}: {}", text(&outcome.stderr));
    text(&outcome.stdout)
}

#[test]
fn man_pages_render() {
    let directory = std::env::temp_dir().join(format!("weir-man-{}", std::process::id()));
    let pages = directory.join("man1");
    succeed(Command::new(WEIR).arg("man").arg(&pages));
    let first = succeed(Command::new(WEIR).arg("man"));
    std::fs::write(directory.join("first"), &first).expect("a temporary file");
    let weir = rendered(&directory.join("first"));
    assert_eq!(weir, rendered(&pages.join("weir.1")));
    assert!(weir.contains("weir-config(1)") && weir.contains("SYNOPSIS"), "{weir}");
    let run = rendered(&pages.join("weir-run.1"));
    assert!(run.contains("--idle-timeout <TIME> [default: 15s]"), "{run}");
    let files = std::fs::read_dir(&pages).expect("the pages").flatten();
    let names: Vec<_> = files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    for command in ["check", "cost", "config-check", "config-show", "completions", "man", "snapshot-sockets"]
    {
        let name = format!("weir-{command}.1");
        assert!(names.contains(&name), "{name}: {names:?}");
        assert!(rendered(&pages.join(&name)).contains("NAME"), "{name}");
    }
    std::fs::remove_dir_all(&directory).expect("it is there");
}

#[test]
fn a_directory_that_cannot_be_is_one_line() {
    let outcome = output(Command::new(WEIR).args(["man", "/dev/null/man1"]));
    let said = text(&outcome.stderr);
    assert_eq!(outcome.status.code(), Some(1));
    assert!(said.starts_with("weir: cannot write man pages into /dev/null/man1: "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
