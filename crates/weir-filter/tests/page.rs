//! `docs/filter.md` says what is so: its filters and rules parse, and its mistakes are told as it tells them.

use weir_filter::{EventFilter, Filter, Rule, warnings};
use weir_record::EventKind;

const PAGE: &str = include_str!("../../../docs/filter.md");

/// The lines of all blocks of this kind, without their comments.
fn lines(kind: &str) -> Vec<&'static str> {
    let blocks = PAGE.split("```").skip(1).step_by(2);
    let of_kind = blocks.filter_map(|block| block.strip_prefix(kind)?.strip_prefix('\n'));
    let lines = of_kind.flat_map(str::lines).map(|line| line.split("  #").next().unwrap_or(line).trim_end());
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    assert!(!lines.is_empty(), "the page has no block of {kind}");
    lines
}

#[test]
fn its_filters_parse() {
    for line in lines("filter") {
        let filter: Filter = line.parse().unwrap_or_else(|mistake| panic!("{line}: {mistake}"));
        assert_eq!(filter.to_string().parse(), Ok(filter), "{line}");
    }
}

#[test]
fn its_filters_of_events_parse() {
    for (block, names) in [("dns-filter", &["dns"][..]), ("dns-connect-filter", &["dns", "connect"])] {
        let kinds: Vec<_> = names.iter().filter_map(|name| EventKind::named(name)).collect();
        for line in lines(block) {
            EventFilter::parse(line, &kinds).unwrap_or_else(|mistake| panic!("{line}: {mistake}"));
        }
    }
}

#[test]
fn its_mistakes_are_told() {
    for pair in lines("mistakes").chunks(2) {
        let [text, told] = pair else { panic!("a mistake without its text: {pair:?}") };
        assert_eq!(text.parse::<Filter>().map_err(|mistake| mistake.to_string()), Err((*told).to_string()));
    }
}

#[test]
fn its_rules_parse_and_are_warned_about() {
    let rules = |kind| {
        let lines = lines(kind).into_iter();
        lines
            .map(|line| line.parse::<Rule>().unwrap_or_else(|mistake| panic!("{line}: {mistake}")))
            .collect::<Vec<_>>()
    };
    rules("rules");
    assert_eq!(warnings(&rules("odd-rules")), lines("warnings"));
}
