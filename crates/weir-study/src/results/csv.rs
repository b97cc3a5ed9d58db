//! The figures as a table for spreadsheets: `results.csv`.

use super::{Measured, Results};

type Column = (&'static str, fn(&Measured) -> String);

/// What [`Measured`] has, in its order, but for the single rounds.
static COLUMNS: [Column; 21] = [
    ("arm", |one| quoted(&one.arm)),
    ("traffic", |one| quoted(&one.traffic)),
    ("mpps", |one| number(one.mpps)),
    ("mpps_low", |one| number(one.mpps_low)),
    ("mpps_high", |one| number(one.mpps_high)),
    ("ratio", |one| number(one.ratio)),
    ("ratio_low", |one| number(one.ratio_low)),
    ("ratio_high", |one| number(one.ratio_high)),
    ("slower_ns", |one| number(one.slower_ns)),
    ("disturbed", |one| one.disturbed.to_string()),
    ("cost_ns", |one| number(one.cost_ns)),
    ("added_ns", |one| optional(one.added_ns)),
    ("isolated_ns", |one| optional(one.isolated_ns)),
    ("accuracy_flows", |one| optional(one.accuracy_flows)),
    ("accuracy_packets", |one| optional(one.accuracy_packets)),
    ("sent", |one| one.sent.to_string()),
    ("received", |one| one.received.to_string()),
    ("lost", |one| one.lost.to_string()),
    ("lost_by_cause", |one| quoted(&causes(one))),
    ("consumer_cpu", |one| number(one.consumer_cpu)),
    ("map_bytes", |one| one.map_bytes.to_string()),
];

/// A head, and a row for each arm and traffic, as RFC 4180 has it: lines end with CR LF, what holds a comma, a
/// quote or a line break is quoted. What is not there is empty.
pub fn csv(results: &Results) -> String {
    let head = line(COLUMNS.iter().map(|(name, _)| (*name).to_owned()));
    let row = |one| line(COLUMNS.iter().map(|(_, value)| value(one)));
    head + &results.results.iter().map(row).collect::<String>()
}

fn line(fields: impl Iterator<Item = String>) -> String {
    fields.collect::<Vec<_>>().join(",") + "\r\n"
}

fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

fn number(value: f64) -> String {
    optional(Some(value))
}

fn optional(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map(|value| value.to_string()).unwrap_or_default()
}

fn causes(one: &Measured) -> String {
    let pairs = one.lost_by_cause.iter().map(|(cause, packets)| format!("{cause}={packets}"));
    pairs.collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{losing, measured, results};
    use super::*;

    /// JSON keeps the order of the fields in its text.
    #[test]
    fn columns_are_the_fields_in_order() {
        let json = serde_json::to_string(&measured("weir", "1-flow", 0.9, 10.0)).expect("JSON");
        let place = |name: &str| json.find(&format!("\"{name}\":"));
        let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
        let places: Vec<usize> = names.iter().map(|name| place(name).expect(name)).collect();
        assert!(places.is_sorted(), "{json}");
        let fields: serde_json::Map<_, _> = serde_json::from_str(&json).expect("an object");
        let missing: Vec<&String> = fields
            .keys()
            .filter(|field| !field.ends_with("_rounds") && !names.contains(&field.as_str()))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn a_row_as_it_is_written() {
        let mut one = losing(8, measured("weir", "a \"b\", c", 0.5, 10.0));
        one.lost_by_cause = [("full".into(), 5), ("ring".into(), 3)].into();
        (one.added_ns, one.accuracy_flows, one.mpps_low) = (Some(7.25), None, f64::NAN);
        let text = csv(&results(vec![one]));
        let lines: Vec<&str> = text.split_inclusive("\r\n").collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("arm,traffic,mpps,") && lines[0].ends_with(",map_bytes\r\n"));
        let expected = "weir,\"a \"\"b\"\", c\",2,,0,0.5,0.49,0.51,10,false,10,7.25,,,0.992,1000,1000,8,full=5;ring=3,0,0\r\n";
        assert_eq!(lines[1], expected);
    }
}
