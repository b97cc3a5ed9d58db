//! The configuration, from the outside: files, the environment, flags, and what is said about them.

mod common;

use common::{WEIR, output, require_root, succeed, text};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Files of one test, gone with it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("weir-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Self(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("a temporary file");
        path.to_str().expect("a path in UTF-8").to_string()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The binary in an environment that says nothing to it.
fn weir(arguments: &[&str]) -> Command {
    let mut command = Command::new(WEIR);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"WEIR_")) {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

/// What holds, by `weir config show`.
fn shown(command: &mut Command) -> Value {
    serde_json::from_str(&succeed(command)).expect("JSON")
}

fn is_fine(file: &str) -> bool {
    let outcome = output(&mut weir(&["config", "check", file]));
    let said = if outcome.status.success() { &outcome.stdout } else { &outcome.stderr };
    assert!(matches!(outcome.status.code(), Some(0 | 1)) && !said.is_empty(), "{file}: {outcome:?}");
    outcome.status.success()
}

#[test]
fn the_example_is_fine() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/weir.example.yaml");
    assert_eq!(succeed(&mut weir(&["config", "check", example])), format!("{example}: fine\n"));
    let shown = shown(&mut weir(&["config", "show", "-o", "json", "--config", example]));
    assert_eq!(shown["file"], example);
    assert_eq!(shown["settings"]["active_timeout"]["value"], "5m");
}

#[test]
fn a_check_names_every_mistake_in_a_line() {
    let directory = Directory::new("check");
    let file = directory
        .file("weir.yaml", "# bad\ninterval: 1s\nidle_timeout: banana\nidle_timout: 3s\nmax_flows: 0\n");
    let outcome = output(&mut weir(&["config", "check", &file]));
    assert_eq!((outcome.status.code(), text(&outcome.stdout).as_str()), (Some(1), ""));
    let expected = [
        format!(
            "weir: {file}:3: idle_timeout: 'banana' is not a duration: write it like 100ms, 15s or 1m30s\n"
        ),
        format!("weir: {file}:4: idle_timout: unknown key; the nearest is idle_timeout\n"),
        format!("weir: {file}:5: max_flows: 0 is not from 1 to 4294967295\n"),
    ];
    assert_eq!(text(&outcome.stderr), expected.concat());
}

#[test]
fn what_is_no_configuration_is_refused_in_a_line() {
    let directory = Directory::new("refused");
    let bomb = format!("a: &a [x, x]\n{}", "b: &b [*a, *a]\n".repeat(1000));
    for (file, expected) in [
        (directory.file("latin1.yaml", b"# h\xe4?\n"), ":1: not UTF-8 text"),
        (directory.file("second.yaml", b"output: json\n# \xff\n"), ":2: not UTF-8 text"),
        (directory.file("list.yaml", "- a\n"), ":1: expected lines like `key: value`"),
        (directory.file("bomb.yaml", bomb), ":1: a: unknown key"),
        (directory.file("deep.yaml", "[".repeat(100_000)), ":1: "),
        (directory.file("open.yaml", "interface: [a\n"), ":1: unclosed bracket"),
        ("/dev/zero".into(), ": longer than 1 MiB"),
        ("/".into(), ": cannot be read: Is a directory"),
        ("/nonexistent/weir.yaml".into(), ": cannot be read: No such file or directory"),
    ] {
        for (arguments, code) in [(["config", "check", &file], 1), (["run", "--config", &file], 2)] {
            let outcome = output(&mut weir(&arguments));
            let said = text(&outcome.stderr);
            assert_eq!(outcome.status.code(), Some(code), "{arguments:?}: {said}");
            assert!(said.starts_with(&format!("weir: {file}{expected}")), "{arguments:?}: {said}");
            assert!(code == 1 || said.lines().count() == 1, "{said}");
        }
    }
    for nothing in ["", "---\n", "# only this\n", "{}\n", "\u{feff}"] {
        assert!(is_fine(&directory.file("empty.yaml", nothing)), "{nothing:?}");
    }
}

#[test]
fn a_flag_goes_before_the_environment_before_the_file() {
    let directory = Directory::new("precedence");
    let content = "interface: [a, b]\nidle_timeout: 1s\nactive_timeout: 2s\ninterval: 3s\n";
    let file = directory.file("weir.yaml", content);
    let mut command = weir(&["config", "show", "-o", "json", "--", "--idle-timeout", "4s"]);
    command.env("WEIR_CONFIG", &file).env("WEIR_IDLE_TIMEOUT", "5s").env("WEIR_ACTIVE_TIMEOUT", "6s");
    command.env("WEIR_INTERVAL", "").env("WEIR_INTERFACE", "c\nd*");
    let settings = shown(&mut command)["settings"].take();
    let expected = [
        ("idle_timeout", json!({ "value": "4s", "origin": "flag", "flag": "--idle-timeout" })),
        (
            "active_timeout",
            json!({ "value": "6s", "origin": "environment", "variable": "WEIR_ACTIVE_TIMEOUT" }),
        ),
        ("interval", json!({ "value": "3s", "origin": "file", "line": 4 })),
        ("interface", json!({ "value": ["c", "d*"], "origin": "environment", "variable": "WEIR_INTERFACE" })),
        ("max_flows", json!({ "value": 500_000, "origin": "default" })),
    ];
    for (key, value) in expected {
        assert_eq!(settings[key], value, "{key}");
    }
}

/// What is shown is a file that says the same.
#[test]
fn what_is_shown_can_be_a_configuration() {
    let directory = Directory::new("shown");
    let names = ["veth*", "true", "x: #y", "- z", "ü", "12", "a,b", "'\"\\"];
    let flags = names.map(|name| format!("--interface={name}"));
    let mut arguments = vec!["config", "show", "--config", "/dev/null", "--"];
    arguments.extend(flags.iter().map(String::as_str));
    arguments.push("--max-flows=77");
    let file = directory.file("again.yaml", succeed(&mut weir(&arguments)));
    let settings = shown(&mut weir(&["config", "show", "-o", "json", "--config", &file]))["settings"].take();
    assert_eq!(settings["interface"]["value"], json!(names));
    assert_eq!(
        (&settings["max_flows"]["value"], &settings["max_flows"]["origin"]),
        (&json!(77), &json!("file"))
    );
    assert_eq!(settings["hook"]["value"], "auto");
    assert_eq!(settings["output"], json!({ "value": null, "origin": "default" }));
}

#[test]
fn a_mistake_in_the_environment_names_the_variable() {
    let mut command = weir(&["run", "--config", "/dev/null"]);
    let outcome = output(command.env("WEIR_IDLE_TIMEOUT", "banana"));
    let expected = "weir: WEIR_IDLE_TIMEOUT: 'banana' is not a duration: write it like 100ms, 15s or 1m30s\n";
    assert_eq!((outcome.status.code(), text(&outcome.stderr).as_str()), (Some(2), expected));
}

/// Python's jsonschema, wherever it is: a validator that knows nothing of us.
fn validate(schema: &Value, instances: &[&str]) -> Vec<bool> {
    const PROGRAM: &str = "import json, sys, jsonschema
validator = jsonschema.Draft202012Validator
schema, instances = json.load(sys.stdin)
validator.check_schema(schema)
print(json.dumps([validator(schema).is_valid(json.loads(instance)) for instance in instances]))";
    let has_it = |python: &&str| {
        let tried = Command::new(python).args(["-c", "import jsonschema"]).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    let found = ["/usr/bin/python3", "python3"].into_iter().find(has_it);
    let python = found.expect("python3-jsonschema is missing: scripts/setup test");
    let mut command = Command::new(python);
    command.args(["-c", PROGRAM]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("Python starts");
    let input = json!([schema, instances]).to_string();
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("Python reads");
    let outcome = child.wait_with_output().expect("Python ends");
    serde_json::from_slice(&outcome.stdout).expect("a list of verdicts")
}

/// JSON is YAML, so that each example is one text for both.
#[test]
fn the_schema_and_the_reader_agree() {
    let directory = Directory::new("schema");
    let schema: Value = serde_json::from_str(&succeed(&mut weir(&["config", "schema"]))).expect("JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let properties = schema["properties"].as_object().expect("properties");
    let defaults = properties.iter().filter_map(|(key, property)| Some((key, property.get("default")?)));
    let defaults: Vec<_> = defaults.map(|(key, default)| json!({ key: default }).to_string()).collect();
    assert!(defaults.len() > 5 && properties.values().all(|property| property["description"].is_string()));
    let good = [
        "null",
        "{}",
        r#"{"idle_timeout": "30s", "max_flows": 100, "output": "json"}"#,
        r#"{"interface": ["a", "b"]}"#,
        r#"{"interface": "a"}"#,
        r#"{"interface": []}"#,
        r#"{"memory_budget": 67108864}"#,
        r#"{"max_flows": 4294967295}"#,
    ];
    let bad = [
        "[]",
        r#""word""#,
        r#"{"nonsense": 1}"#,
        r#"{"idle-timeout": "1s"}"#,
        r#"{"config": "other.yaml"}"#,
        r#"{"idle_timeout": true}"#,
        r#"{"idle_timeout": null}"#,
        r#"{"idle_timeout": ["1s"]}"#,
        r#"{"hook": "xdp"}"#,
        r#"{"hook": ["tcx"]}"#,
        r#"{"max_flows": "100"}"#,
        r#"{"max_flows": 0}"#,
        r#"{"max_flows": 1.5}"#,
        r#"{"max_flows": 4294967296}"#,
        r#"{"interface": [["a"]]}"#,
        r#"{"interface": {"a": 1}}"#,
        r#"{"interface": ["a", false]}"#,
    ];
    let good: Vec<_> = good.into_iter().chain(defaults.iter().map(String::as_str)).collect();
    assert_eq!(validate(&schema, &good), vec![true; good.len()], "{good:?}");
    assert_eq!(validate(&schema, &bad), vec![false; bad.len()], "{bad:?}");
    for (texts, fine) in [(good.as_slice(), true), (&bad, false)] {
        for text in texts {
            assert_eq!(is_fine(&directory.file("one.yaml", text)), fine, "{text}");
        }
    }
}

#[test]
fn a_tuned_file_goes_before_the_defaults_only() {
    let directory = Directory::new("tuned");
    let tuned = directory
        .file("tuned.yaml", "structure: flow-hash\nclock: fine\nmemory_budget: 16MiB\ninterval: 2s\n");
    let file = directory.file("weir.yaml", format!("tuned: {tuned}\ninterval: 3s\n"));
    let settings = shown(&mut weir(&["config", "show", "-o", "json", "--config", &file]))["settings"].take();
    assert_eq!(settings["tuned"], json!({ "value": tuned, "origin": "file", "line": 1 }));
    assert_eq!(settings["interval"], json!({ "value": "3s", "origin": "file", "line": 2 }));
    assert_eq!(settings["clock"], json!({ "value": "fine", "origin": "tuned", "line": 2 }));
    assert_eq!(settings["idle_timeout"]["origin"], "default");
    let mut command = weir(&["config", "show", "--", "--tuned", &tuned, "--clock", "tick"]);
    let page = succeed(command.env("WEIR_INTERVAL", "4s").env("WEIR_CONFIG", "/dev/null"));
    for line in ["clock: tick # flag --clock", "interval: 4s # environment WEIR_INTERVAL"] {
        assert!(page.contains(&format!("\n{line}\n")), "{page}");
    }
    assert!(page.contains(&format!("\nmemory_budget: 16MiB # tuned {tuned}:3\n")), "{page}");
    assert!(is_fine(&tuned) && is_fine(&file));

    let other = directory.file("tuned.yaml", "structure: lru-hash\n");
    let expected = format!("weir: {other}:1: structure: 'lru-hash': this weir has no such structure, only");
    for (arguments, code) in [
        (vec!["config", "check", &file], 1),
        (vec!["config", "check", &other], 1),
        (vec!["run", "--config", "/dev/null", "--tuned", &other], 2),
    ] {
        let outcome = output(&mut weir(&arguments));
        let said = text(&outcome.stderr);
        assert_eq!((outcome.status.code(), said.lines().count()), (Some(code), 1), "{arguments:?}: {said}");
        assert!(said.starts_with(&expected), "{said}");
    }
    let outcome = output(&mut weir(&["run", "--config", "/dev/null", "--tuned", "/nonexistent"]));
    let expected = "weir: /nonexistent: cannot be read: No such file or directory\n";
    assert_eq!((outcome.status.code(), text(&outcome.stderr).as_str()), (Some(2), expected));
}

/// A shell with a file system and a network of its own, that leaves no trace.
fn apart(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "sh", "-ec", script, "sh", WEIR]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"WEIR_")) {
        command.env_remove(name);
    }
    command
}

#[test]
fn root_the_default_file_is_read_where_it_exists() {
    require_root();
    let mut without = apart("mount -t tmpfs none /etc; $1 config show -o json");
    assert_eq!(shown(&mut without)["file"], Value::Null);
    let file = "mount -t tmpfs none /etc; mkdir /etc/weir; echo 'max_flows: 9' > /etc/weir/weir.yaml";
    let with = shown(&mut apart(&format!("{file}; $1 config show -o json")));
    assert_eq!(with["file"], "/etc/weir/weir.yaml");
    assert_eq!(with["settings"]["max_flows"], json!({ "value": 9, "origin": "file", "line": 1 }));
    let none = shown(&mut apart(&format!("{file}; $1 config show -o json --config /dev/null")));
    assert_eq!(none["settings"]["max_flows"]["origin"], "default");
}

#[test]
fn root_the_agent_runs_by_its_file() {
    require_root();
    let directory = Directory::new("agent");
    let file =
        directory.file("weir.yaml", "interface: lo\noutput: none\nduration: 300ms\nmemory_budget: 16MiB\n");
    let tuned = directory.file("tuned.yaml", "structure: flow-hash\nclock: fine\nmemory_budget: 8MiB\n");
    // Without a place of its own for the history, which would be the host's.
    let apart_from_the_host = "ip link set lo up; mount -t tmpfs none /var/lib";
    let script = format!("{apart_from_the_host}; exec $1 run --config {file} --tuned {tuned} -o json");
    let outcome = output(&mut apart(&script));
    let said = text(&outcome.stderr);
    assert!(outcome.status.success(), "{said}");
    assert!(said.starts_with("weir: attached to lo "), "{said}");
    assert!(said.contains(&format!("\nweir: configured by {file}\nweir: tuned by {tuned}\n")), "{said}");
    assert!(said.contains("; 16.0 MiB of kernel maps"), "the file goes before the tuned file: {said}");
    assert!(text(&outcome.stdout).contains(r#""type":"ledger""#), "a flag goes before the file: {outcome:?}");
}
