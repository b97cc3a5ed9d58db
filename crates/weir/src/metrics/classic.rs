//! The older form, which whoever does not ask for OpenMetrics is given: `curl`, `promtool check metrics`, and most of what
//! is not Prometheus.

use std::collections::BTreeSet;

/// OpenMetrics calls a counter by the name of its family there, this form by that of its series. It knows no units, and
/// no end.
pub fn classic(open: &str) -> String {
    let counters: BTreeSet<&str> =
        open.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut text = String::with_capacity(open.len());
    for line in open.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("UNIT" | "EOF"), ..) => continue,
            (Some("#"), Some(what), Some(name), Some(rest)) if counters.contains(name) => {
                text.push_str(&format!("# {what} {name}_total {rest}"));
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_their_names() {
        let open = "# HELP a_bytes What was # seen.\n# TYPE a_bytes counter\n# UNIT a_bytes bytes\na_bytes_total{b=\"c\"} 3\n\
                    # HELP d Now.\n# TYPE d gauge\nd 1\n# EOF\n";
        let older = "# HELP a_bytes_total What was # seen.\n# TYPE a_bytes_total counter\na_bytes_total{b=\"c\"} 3\n\
                     # HELP d Now.\n# TYPE d gauge\nd 1\n";
        assert_eq!(classic(open), older);
    }
}
