//! `weir check`, from the outside.

mod common;

use common::{WEIR, output, require_root, succeed, text};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// A copy that a user may run who may not reach the directory it was built in.
struct Copy(PathBuf);

impl Copy {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("weir-check-{}", std::process::id()));
        std::fs::copy(WEIR, &path).expect("the binary can be copied");
        Self(path)
    }

    fn unprivileged(&self, arguments: &[&str]) -> std::process::Output {
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        output(Command::new("setpriv").args(nobody).arg(&self.0).args(arguments))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn feature<'a>(check: &'a Value, name: &str) -> &'a Value {
    let features = check["features"].as_array().expect("a list of features");
    features.iter().find(|feature| feature["name"] == name).unwrap_or_else(|| panic!("no {name}: {check}"))
}

fn assert_narrow(table: &str) {
    for line in table.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
}

#[test]
fn root_it_works_here() {
    require_root();
    let table = succeed(Command::new(WEIR).arg("check"));
    assert_eq!(table.lines().next(), Some("weir run works here"), "{table}");
    assert_narrow(&table);
    assert!(!table.contains('\x1b'), "colours in a pipe: {table}");

    let json = succeed(Command::new(WEIR).args(["check", "-o", "json"]));
    assert_eq!(json.lines().count(), 1, "{json}");
    let check: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&check["type"], &check["ok"]), (&"check".into(), &true.into()), "{json}");
    let release = succeed(Command::new("uname").arg("-r"));
    assert_eq!(check["kernel"], release.trim());
    for program in ["weir_ingress", "weir_egress", "weir_clock"] {
        assert_eq!(feature(&check, program)["status"], "yes", "{json}");
    }
    for feature in check["features"].as_array().expect("a list of features") {
        for key in ["name", "status", "minimum_kernel", "instead", "remedy"] {
            assert!(feature.get(key).is_some(), "no {key}: {feature}");
        }
    }
}

/// Each feature that could not be tried says for want of what.
#[test]
fn root_without_privileges_it_says_which_are_missing() {
    require_root();
    let weir = Copy::new();
    let refused = weir.unprivileged(&["check"]);
    let table = text(&refused.stdout);
    assert_eq!(refused.status.code(), Some(1), "{table}");
    let verdict = table.lines().next().unwrap_or_default();
    assert!(verdict.starts_with("weir run cannot work here: "), "{table}");
    assert!(verdict.contains("CAP_BPF") && verdict.contains("CAP_NET_ADMIN"), "{table}");
    assert!(table.contains("setcap cap_bpf,cap_net_admin,cap_perfmon+ep "), "{table}");
    assert_narrow(&table);
    assert!(refused.stderr.is_empty(), "{}", text(&refused.stderr));

    let check: Value =
        serde_json::from_slice(&weir.unprivileged(&["check", "-o", "json"]).stdout).expect("JSON");
    assert_eq!(check["ok"], false);
    assert_eq!(feature(&check, "CAP_BPF")["status"], "no");
    assert_eq!(feature(&check, "type information (BTF)")["status"], "yes");
    for name in ["ring buffer", "weir_ingress", "TCX links", "statistics (weir cost)"] {
        let feature = feature(&check, name);
        assert_eq!(feature["status"], "not tried", "{feature}");
        let reason = feature["reason"].as_str().unwrap_or_default();
        assert!(reason.starts_with("CAP_") && reason.ends_with(" is missing"), "{feature}");
    }

    let verbose = text(&weir.unprivileged(&["check", "-v"]).stderr);
    assert!(verbose.contains("weir_egress: ") && verbose.contains("Operation not permitted"), "{verbose}");
}

/// Not every capability by itself is enough.
#[test]
fn root_with_one_capability_missing() {
    require_root();
    for name in ["net_admin", "perfmon"] {
        // Who may do everything may do this as well, so that goes too.
        let without = format!("--bounding-set=-{name},-sys_admin");
        let outcome = output(Command::new("setpriv").args([&without, WEIR, "check"]));
        let table = text(&outcome.stdout);
        assert_eq!(outcome.status.code(), Some(1), "{table}");
        let expected = format!("weir run cannot work here: CAP_{} is missing.", name.to_uppercase());
        assert!(table.starts_with(&expected), "{table}");
    }
}
