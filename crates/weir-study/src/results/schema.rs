//! The committed schema of `results.json` is that of the types. `WEIR_BLESS=1` writes it anew.

use super::made_up::{losing, measured, results};
use super::{
    FORMAT, FlowPoint, FlowScaling, KneeLaw, LoadPoint, Recommendation, Results, Scaling, ScalingPoint,
    Variant, fit, lessons, read,
};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

fn schema() -> Value {
    let mut schema = schemars::schema_for!(Results);
    schema.insert("title".into(), json!(format!("results.json of weir study, format {FORMAT}")));
    schema.to_value()
}

#[test]
fn the_schema_is_that_of_the_types() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/study.schema.json");
    let generated = serde_json::to_string_pretty(&schema()).expect("JSON") + "\n";
    if std::env::var_os("WEIR_BLESS").is_some() {
        std::fs::write(path, &generated).expect("docs/study.schema.json can be written");
    }
    let committed = std::fs::read_to_string(path).expect("docs/study.schema.json is there");
    assert!(committed == generated, "docs/study.schema.json does not match the types: run `make generate`");
}

#[test]
fn every_field_is_described() {
    fn properties<'a>(value: &'a Value, found: &mut Vec<(&'a String, &'a Value)>) {
        let Some(object) = value.as_object() else { return };
        found.extend(object.get("properties").and_then(Value::as_object).into_iter().flatten());
        object.values().for_each(|inner| properties(inner, found));
    }
    let (schema, mut found) = (schema(), vec![]);
    properties(&schema, &mut found);
    assert!(found.len() > 70, "{}", found.len());
    let bare: Vec<_> = found.iter().filter(|(_, property)| !property["description"].is_string()).collect();
    assert!(bare.is_empty(), "{bare:?}");
}

/// With something in every list.
fn full() -> Results {
    let arms = [("none", 1.0), ("ringbuf", 0.4), ("percpu-hash", 0.6), ("weir", 0.8)];
    let mut full = results(arms.map(|(arm, ratio)| measured(arm, "1-flow", ratio, 10.0)).to_vec());
    full.results[1] = losing(7, full.results[1].clone());
    full.results[3].added_ns = Some(7.5);
    full.partial = Some("interrupted".into());
    full.load = vec![LoadPoint { arm: "weir".into(), mpps: 1.5, ..LoadPoint::default() }];
    let points = vec![ScalingPoint { senders: 1, mpps: 1.5 }, ScalingPoint { senders: 2, mpps: 2.5 }];
    let (fit, note) = fit(&points);
    full.scaling = vec![Scaling { arm: "weir".into(), points, fit, note, ..Scaling::default() }];
    full.flow_scaling = vec![FlowScaling {
        arm: "weir".into(),
        points: vec![FlowPoint { flows: 40, cost_ns: 33.0 }],
        fit: Some(KneeLaw { base_ns: 33.0, knee: 4096.0, per_doubling_ns: 20.0 }),
        miss: 0.02,
        note: "No more.".into(),
    }];
    full.lessons = lessons(&full);
    let tried = vec![Variant { clock: "tick".into(), ..Variant::default() }];
    full.recommendation = Some(Recommendation { tried, ..Recommendation::default() });
    full
}

/// Python's jsonschema, wherever it is: a validator that knows nothing of us. None where it is not installed.
fn validate(schema: &Value, instances: &[Value]) -> Option<Vec<bool>> {
    const PROGRAM: &str = "import json, sys, jsonschema
validator = jsonschema.Draft202012Validator
schema, instances = json.load(sys.stdin)
validator.check_schema(schema)
print(json.dumps([validator(schema).is_valid(instance) for instance in instances]))";
    let has_it = |python: &&str| {
        let tried = Command::new(python).args(["-c", "import jsonschema"]).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    let python = ["/usr/bin/python3", "python3"].into_iter().find(has_it)?;
    let mut command = Command::new(python);
    command.args(["-c", PROGRAM]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("Python starts");
    let input = json!([schema, instances]).to_string();
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("Python reads");
    let outcome = child.wait_with_output().expect("Python ends");
    Some(serde_json::from_slice(&outcome.stdout).expect("a list of verdicts"))
}

#[test]
fn the_schema_and_the_reader_agree() {
    let good = serde_json::to_value(full()).expect("JSON");
    let changed = |pointer: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).expect(pointer) = value;
        changed
    };
    let bad = [
        json!({}),
        json!([good]),
        changed("/format", json!(-1)),
        changed("/machine", json!("mine")),
        changed("/results/0/ratio", json!(null)),
        changed("/results/1/lost_by_cause/full", json!(0.5)),
        changed("/scaling/0/points/1/senders", json!("two")),
        changed("/flow_scaling/0/fit/knee", json!("late")),
    ];
    let fewer = [changed("/partial", json!(null)), changed("/recommendation", json!(null))];
    let added = changed("/config/link", json!("eth0"));
    let instances: Vec<Value> = [&[good.clone(), added][..], &fewer, &bad].concat();
    let readable: Vec<bool> = instances.iter().map(|instance| read(&instance.to_string()).is_ok()).collect();
    assert_eq!(readable, (0..instances.len()).map(|index| index < 4).collect::<Vec<_>>());
    match validate(&schema(), &instances) {
        Some(valid) => assert_eq!(valid, readable),
        None => eprintln!("not validated: python3-jsonschema is missing: scripts/setup test"),
    }
}
