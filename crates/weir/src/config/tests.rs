use super::definition::Definition;
use super::environment;
use super::file::{self, File};
use super::merge::{self, Origin, Setting, Settings};
use super::{Configuration, Mistakes, Sources, printable, tuned};
use clap::{Arg, ArgAction, ArgMatches, Command};
use proptest::prelude::*;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// One option of each kind, and two that do not go together.
fn definition() -> Definition {
    let text = Arg::new("name").long("name").default_value("nobody");
    let list = Arg::new("rule").long("rule").action(ArgAction::Append);
    let number = Arg::new("count").long("count").value_parser(clap::value_parser!(u8)).default_value("3");
    let choice = Arg::new("mode").long("mode").value_parser(["on", "off"]).default_value("on");
    let switch = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
    let switches = [switch("all-of-it"), switch("none-of-it").conflicts_with("all-of-it")];
    Definition::new(Command::new("x").args([text, list, number, choice]).args(switches))
}

fn from_file(definition: &Definition, text: &str) -> Settings {
    let (settings, mistakes) = file::settings(definition, Path::new("f"), text);
    assert_eq!(mistakes, Vec::<String>::new(), "{text}");
    settings
}

fn mistakes_in_file(text: &str) -> Vec<String> {
    file::settings(&definition(), Path::new("f"), text).1
}

fn from_environment(definition: &Definition, variables: &[(&str, &str)]) -> (Settings, Vec<String>) {
    let find = |name: &str| variables.iter().find(|(variable, _)| *variable == name);
    environment::settings(definition, |name| find(name).map(|(_, value)| value.into()))
}

fn values<'a>(settings: &'a Settings, key: &str) -> Vec<&'a str> {
    settings[key].values.iter().map(|value| value.to_str().expect("text")).collect()
}

#[test]
fn flag_before_environment_before_file_before_default() {
    let definition = definition();
    let flags = |given: &[&str]| definition.parse(given.iter().map(OsString::from)).expect("good flags");
    let file = || from_file(&definition, "name: file");
    let environment = || from_environment(&definition, &[("WEIR_NAME", "environment")]).0;
    let merged = |flags: &ArgMatches, environment, file| merge::merge(&definition, flags, environment, file);
    let none = Settings::new;
    for (given, environment, file, value, origin) in [
        (&["--name=flag"][..], environment(), file(), "flag", "flag --name"),
        (&["--name=nobody"], environment(), file(), "nobody", "flag --name"),
        (&[], environment(), file(), "environment", "environment WEIR_NAME"),
        (&[], none(), file(), "file", "file f:1"),
        (&[], none(), none(), "nobody", "default"),
    ] {
        let settings = merged(&flags(given), environment, file);
        assert_eq!(values(&settings, "name"), [value]);
        assert_eq!(settings["name"].origin.to_string(), origin);
        let parsed = merge::parse(&definition, &settings).expect("good values");
        assert_eq!(parsed.get_one::<String>("name").map(String::as_str), Some(value));
    }
}

#[test]
fn a_list_replaces_a_list() {
    let definition = definition();
    let flags = definition.parse(["--rule=a", "--rule", "b"].map(OsString::from)).expect("good flags");
    let file = from_file(&definition, "rule: [c, d]");
    assert_eq!(values(&file, "rule"), ["c", "d"]);
    let settings = merge::merge(&definition, &flags, Settings::new(), file);
    assert_eq!(values(&settings, "rule"), ["a", "b"]);

    let (environment, mistakes) = from_environment(&definition, &[("WEIR_RULE", " port in 1,2\n\n- x\n")]);
    assert_eq!((values(&environment, "rule"), mistakes), (vec!["port in 1,2", "- x"], vec![]));
    let parsed = merge::parse(&definition, &environment).expect("good values");
    let rules: Vec<_> = parsed.get_many::<String>("rule").expect("rules").collect();
    assert_eq!(rules, ["port in 1,2", "- x"]);
}

#[test]
fn switches_switch_on_and_off() {
    let definition = definition();
    let is_on = |flags: &[&str], environment: &[(&str, &str)], file: &str| {
        let flags = definition.parse(flags.iter().map(OsString::from)).expect("good flags");
        let (environment, mistakes) = from_environment(&definition, environment);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let settings = merge::merge(&definition, &flags, environment, from_file(&definition, file));
        let parsed = merge::parse(&definition, &settings).expect("good values");
        assert_eq!(values(&settings, "all_of_it"), [parsed.get_flag("all-of-it").to_string()]);
        parsed.get_flag("all-of-it")
    };
    assert!(!is_on(&[], &[], ""));
    assert!(is_on(&[], &[], "all_of_it: True"));
    assert!(is_on(&["--all-of-it"], &[("WEIR_ALL_OF_IT", "no")], "all_of_it: false"));
    assert!(!is_on(&[], &[("WEIR_ALL_OF_IT", "OFF")], "all_of_it: true"));
    assert!(is_on(&[], &[("WEIR_ALL_OF_IT", "")], "all_of_it: true"), "an empty variable says nothing");
}

#[test]
fn what_does_not_go_together_says_who_said_so() {
    let definition = definition();
    let flags = definition.parse(["--none-of-it"].map(OsString::from)).expect("good flags");
    let settings =
        merge::merge(&definition, &flags, Settings::new(), from_file(&definition, "\nall_of_it: true"));
    let mistake = merge::parse(&definition, &settings).expect_err("a conflict");
    let expected = "(all_of_it: file f:2, none_of_it: flag --none-of-it)";
    assert!(mistake.contains("cannot be used with") && mistake.ends_with(expected), "{mistake}");
    assert_eq!(mistake.lines().count(), 1);
}

#[test]
fn every_mistake_in_a_file_has_its_line() {
    let text =
        "name: true\ncount: '4'\nmode: maybe\nrule:\n- a\n- ~\nall_of_it: yes\nNAME: x\nqqq: 1\ncount: 5\n";
    let expected = [
        "f:1: name: 'true' is a truth value: put it in quotes",
        "f:2: count: '4' is text: write the number without quotes",
        "f:3: mode: 'maybe' is not one of on, off",
        "f:6: rule: no value: remove the line to have the default",
        "f:7: all_of_it: 'yes' is not true or false",
        "f:8: NAME: unknown key; the nearest is name",
        "f:9: qqq: unknown key: `weir config show` lists all",
        "f:10: count: given a second time, before on line 2",
    ];
    assert_eq!(mistakes_in_file(text), expected);
    assert_eq!(mistakes_in_file("count: [1]"), ["f:1: count: a list, and this takes one value"]);
    assert_eq!(mistakes_in_file("count: 256"), ["f:1: count: 256 is not from 0 to 255"]);
    assert_eq!(mistakes_in_file("count: 1.5"), ["f:1: count: '1.5' is not a whole number"]);
    let fine = ["mode: on", "rule: -x", "rule: []", "name: 12", "count: 0", "rule: '--name=y'", "name: a=b"];
    for text in fine {
        assert!(mistakes_in_file(text).is_empty(), "{text}: {:?}", mistakes_in_file(text));
    }
}

#[test]
fn a_mistake_in_the_environment_names_the_variable() {
    let definition = definition();
    let variables =
        [("WEIR_COUNT", "many"), ("WEIR_MODE", "of"), ("WEIR_ALL_OF_IT", "2"), ("WEIR_OTHER", "x")];
    let (_, mistakes) = from_environment(&definition, &variables);
    let expected = [
        "WEIR_COUNT: 'many' is not a whole number",
        "WEIR_MODE: 'of' is not one of on, off",
        "WEIR_ALL_OF_IT: '2' is not true or false",
    ];
    assert_eq!(mistakes, expected);
    let no_text = |_: &str| Some(OsString::from_vec(vec![0xff]));
    let (_, mistakes) = environment::settings(&definition, no_text);
    assert_eq!(mistakes.len(), definition.keys().len());
    assert_eq!(mistakes[0], "WEIR_NAME: not UTF-8 text");
}

fn mistakes_in_tuned(text: &str) -> Vec<String> {
    tuned::settings(&Definition::of_run(), Path::new("t"), text).1
}

#[test]
fn a_tuned_file_fills_in_what_nobody_has_said() {
    let definition = definition();
    let flags = definition.parse(["--mode=on"].map(OsString::from)).expect("good flags");
    let file = from_file(&definition, "name: file");
    let mut settings = merge::merge(&definition, &flags, Settings::new(), file);
    let setting = |value: &str| {
        let origin = Origin::Tuned { path: "t".into(), line: 4 };
        Setting { values: vec![value.into()], origin }
    };
    let tuned = [("name", "tuned"), ("mode", "off"), ("count", "7")];
    merge::fill_in(&mut settings, tuned.map(|(key, value)| (key.to_string(), setting(value))).into());
    assert_eq!(["name", "mode", "count"].map(|key| values(&settings, key)[0]), ["file", "on", "7"]);
    assert_eq!(settings["count"].origin.to_string(), "tuned t:4");
    let parsed = merge::parse(&definition, &settings).expect("good values");
    assert_eq!(parsed.get_one::<u8>("count"), Some(&7));
}

#[test]
fn a_tuned_file_speaks_of_what_was_measured_only() {
    let good = "structure: flow-hash\nclock: fine\nmemory_budget: 16MiB\ninterval: 500ms\n";
    assert!(mistakes_in_tuned(good).is_empty() && tuned::is_one(good) && !tuned::is_one("clock: fine"));
    let text =
        "clock: coarse\ninterface: lo\nstructure: lru-hash\nmemory_buget: 1MiB\ntuned: x\ninterval: 1ms\n";
    let expected = [
        "t:1: clock: 'coarse' is not one of tick, fine",
        "t:2: interface: not for a tuned file: put it into the configuration file",
        "t:3: structure: 'lru-hash': this weir has no such structure, only flow-hash: run `weir study --recommend` again",
        "t:4: memory_buget: unknown key; the nearest is memory_budget",
        "t:5: tuned: not for a tuned file: put it into the configuration file",
        "t:6: interval: '1ms' must be from 10ms to 60s",
    ];
    assert_eq!(mistakes_in_tuned(text), expected);
    assert_eq!(mistakes_in_tuned("structure: [flow-hash]").len(), 1);
    for none in ["", "clock: fine\n"] {
        let expected = "t:1: no structure: this is not a file of `weir study --recommend`";
        assert_eq!(mistakes_in_tuned(none), [expected]);
    }
    let (_, mistakes) = file::settings(&Definition::of_run(), Path::new("f"), "structure: flow-hash");
    assert_eq!(mistakes, ["f:1: structure: only for a file that `tuned` names"]);
}

/// At a reload the tuned file is read again, or another one that the configuration names by then.
#[test]
fn a_tuned_file_is_read_again() {
    let path = |name: &str| std::env::temp_dir().join(format!("weir-{name}-{}.yaml", std::process::id()));
    let [file, one, other] = ["tuned-by", "tuned-one", "tuned-other"].map(path);
    let write = |path: &Path, text: &str| std::fs::write(path, text).expect("a temporary file");
    let mut argument = OsString::from("--config=");
    argument.push(&file);
    let mut sources = Sources::new(Definition::of_run().parse([argument]).expect("good flags"));
    let mut load = || sources.load().map_err(|mistakes| mistakes.to_string());

    write(&file, &format!("tuned: {}\n", one.display()));
    write(&one, "structure: flow-hash\ninterval: 2s\nmemory_budget: 8MiB\n");
    write(&other, "structure: flow-hash\ninterval: 3s\nmemory_budget: 8MiB\n");
    let first = load().expect("good files");
    assert_eq!(first.settings["interval"].origin, Origin::Tuned { path: one.clone(), line: 2 });
    write(&one, "structure: flow-hash\ninterval: 4s\n");
    assert_eq!(first.differences(&load().expect("good files")), ["interval", "memory_budget"]);
    write(&file, &format!("tuned: {}\n", other.display()));
    let second = load().expect("good files");
    assert_eq!(first.differences(&second), ["interval", "tuned"]);
    assert_eq!(values(&second.settings, "interval"), ["3s"]);
    std::fs::remove_file(&other).expect("it is there");
    let expected = format!("{}: cannot be read: No such file or directory", other.display());
    assert_eq!(load().err(), Some(expected));
    [file, one].iter().for_each(|path| std::fs::remove_file(path).expect("it is there"));
}

/// As a study writes it: whatever a machine is called.
#[cfg(feature = "study")]
#[test]
fn what_a_study_recommends_is_taken() {
    let settings =
        [("clock", "fine"), ("interval", "1s"), ("memory_budget", "32MiB"), ("structure", "flow-hash")];
    let recommendation = weir_study::results::Recommendation {
        settings: settings.map(|(key, value)| (key.to_string(), value.to_string())).into(),
        cost_ns: 41.5,
        because: vec!["It is #1:\nclock: tick".into()],
        ..Default::default()
    };
    let machine = weir_study::results::Machine {
        cpu: "EPYC\nstructure: other".into(),
        kernel: "6.18".into(),
        ..Default::default()
    };
    let text = weir_study::recommend::tuned_yaml(&recommendation, &machine, "2026-01-31");
    let (found, mistakes) = tuned::settings(&Definition::of_run(), Path::new("t"), &text);
    assert_eq!(mistakes, Vec::<String>::new(), "{text}");
    let found: Vec<_> = found.keys().map(|key| (key.as_str(), values(&found, key)[0])).collect();
    assert_eq!(found, settings[..3], "{text}");
    assert!(tuned::is_one(&text));
}

/// The one place where this test touches files, as the agent does at a reload.
#[test]
fn a_file_is_read_again_and_differences_have_names() {
    let path = std::env::temp_dir().join(format!("weir-config-{}.yaml", std::process::id()));
    let write = |text: &str| std::fs::write(&path, text).expect("a temporary file");
    let mut argument = OsString::from("--config=");
    argument.push(&path);
    let arguments = [argument, "--active-timeout=90s".into()];
    let flags = Definition::of_run().parse(arguments).expect("good flags");
    let mut sources = Sources::new(flags);
    let mut load = || sources.load().map_err(|mistakes| mistakes.to_string());

    write("idle_timeout: 5s\ninterface: [a, b]\n");
    let first = load().expect("a good file");
    assert_eq!(first.file.as_deref(), Some(path.as_path()));
    assert_eq!(first.settings["idle_timeout"].origin, Origin::File { path: path.clone(), line: 1 });
    write("interface: [a]\nactive_timeout: 7s\nmax_flows: 10\n");
    let second = load().expect("a good file");
    assert_eq!(first.differences(&second), ["idle_timeout", "interface", "max_flows"]);
    assert_eq!(values(&second.settings, "active_timeout"), ["90s"]);
    let differences = |other: &Configuration| second.differences(other).len();
    assert_eq!(differences(&load().expect("a good file")), 0);

    write("interface: [a]\nactive_timeout: banana\nmax_flow: 10\n");
    let mistake = load().err().expect("a bad file");
    let expected = format!("{}:2: active_timeout: 'banana' is not a duration", path.display());
    assert!(mistake.starts_with(&expected) && mistake.contains("(and 1 more: "), "{mistake}");
    std::fs::remove_file(&path).expect("it is there");
    let mistake = load().err().expect("no file");
    assert_eq!(mistake, format!("{}: cannot be read: No such file or directory", path.display()));
}

/// `--config <(…)` works once; a second reading would wait for a writer that is gone.
#[test]
fn a_pipe_is_read_once_and_a_device_as_often_as_needed() {
    let path = std::env::temp_dir().join(format!("weir-config-pipe-{}", std::process::id()));
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo runs");
    assert!(made.success());
    let mut pipe = File::choose(Some(path.clone()));
    let writer = std::thread::spawn({
        let path = path.clone();
        move || std::fs::write(path, "interval: 2s")
    });
    assert_eq!(pipe.read(), Ok(Some("interval: 2s".into())));
    writer.join().expect("the writer ends").expect("a pipe takes text");
    assert_eq!(pipe.read(), Err(format!("{}: a pipe: it cannot be read a second time", path.display())));
    std::fs::remove_file(&path).expect("it is there");

    let mut device = File::choose(Some("/dev/null".into()));
    assert_eq!((device.read(), device.read()), (Ok(Some(String::new())), Ok(Some(String::new()))));
}

#[test]
fn whatever_is_in_a_value_a_mistake_is_one_line() {
    let mistakes = Mistakes(vec!["a\n\u{1b}[31mb".into(), "x".repeat(1000)]);
    let lines: Vec<_> = mistakes.lines().collect();
    assert_eq!(lines[0], "a\\n\\u{1b}[31mb");
    assert_eq!(lines[1].chars().count(), 301);
    assert_eq!(printable("fine"), "fine");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Nothing panics, and what is taken can be parsed.
    #[test]
    fn garbage_in_a_file(text in r#"((name|rule|count|mode|all_of_it|x)?(: )?(true|12|-|~|'|"|\[|\]|,|--name|=|\PC|[\x00-\x20])*\n){0,6}"#) {
        let definition = definition();
        let (settings, mistakes) = file::settings(&definition, &PathBuf::from("f"), &text);
        if mistakes.is_empty() {
            let parsed = merge::parse(&definition, &settings);
            prop_assert!(parsed.is_ok(), "{:?}: {:?}", text, parsed);
        }
    }

    /// What a parser takes from a flag it takes from a file, unchanged.
    #[test]
    fn any_text_can_be_a_value(value in r"\PC{1,20}") {
        let definition = definition();
        let settings = from_file(&definition, &format!("name: {}", serde_json::Value::from(value.as_str())));
        let setting = Setting { values: vec![value.as_str().into()], origin: Origin::File { path: "f".into(), line: 1 } };
        prop_assert_eq!(&settings["name"], &setting);
        let parsed = merge::parse(&definition, &settings).expect("good values");
        prop_assert_eq!(parsed.get_one::<String>("name"), Some(&value));
    }
}
