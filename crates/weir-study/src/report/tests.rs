//! The page as a whole: well-formed, complete, and safe whatever the results say.

use super::{charts, fixture, html};
use crate::results::{Measured, Results};

/// What is wrong with the markup, if anything: tags that do not match, raw `<` or `&`, attributes without quotes
/// or given twice. The page is held to the rules of XML too.
fn flaw(markup: &str) -> Option<String> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = markup.trim().trim_start_matches("<!doctype html>").trim_start();
    while let Some(start) = rest.find('<') {
        let (text, tag) = rest.split_at(start);
        if let Some(bad) = bad_text(text) {
            return Some(format!("text {bad:?} in {open:?}"));
        }
        let Some(end) = tag.find('>') else { return Some(format!("{tag:?} has no end")) };
        let (inner, after) = (&tag[1..end], &tag[end + 1..]);
        rest = after;
        if let Some(name) = inner.strip_prefix('/') {
            if open.pop() != Some(name) {
                return Some(format!("</{name}> in {open:?}"));
            }
            if open.is_empty() && !rest.is_empty() {
                return Some(format!("{rest:?} after the end"));
            }
            continue;
        }
        let (inner, is_empty) = inner.strip_suffix('/').map_or((inner, false), |inner| (inner, true));
        let (name, attributes) = inner.split_once(' ').unwrap_or((inner, ""));
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Some(format!("<{inner}>"));
        }
        if let Some(bad) = bad_attributes(attributes) {
            return Some(format!("attribute {bad:?} of <{name}>"));
        }
        if !is_empty {
            open.push(name);
        }
    }
    (!open.is_empty() || !rest.is_empty()).then(|| format!("{open:?} is still open"))
}

fn bad_text(text: &str) -> Option<&str> {
    const ENTITIES: [&str; 5] = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"];
    let is_entity = |at: usize| ENTITIES.iter().any(|entity| text[at..].starts_with(entity));
    let raw = text.match_indices('&').find(|(at, _)| !is_entity(*at)).map(|(at, _)| &text[at..]);
    let is_bad = |c: char| c == '>' || c.is_control() && c != '\n' && c != '\t';
    raw.or_else(|| text.find(is_bad).map(|at| &text[at..]))
}

fn bad_attributes(mut rest: &str) -> Option<&str> {
    let mut names = Vec::new();
    while !rest.is_empty() {
        let Some((name, after)) = rest.split_once("=\"") else { return Some(rest) };
        let Some((value, after)) = after.split_once('"') else { return Some(rest) };
        let name = name.trim_start();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !is_name || names.contains(&name) || bad_text(value).is_some() {
            return Some(rest);
        }
        names.push(name);
        rest = after;
    }
    None
}

fn everything(results: &Results) -> Vec<(&'static str, String)> {
    let mut all = charts(results);
    all.push(("report.html", html(results)));
    all
}

/// Every string of the results replaced by that one, by way of their JSON; names stay apart by a number.
fn with_all_strings(results: &Results, evil: &str) -> Results {
    fn replace(value: &mut serde_json::Value, evil: &str) {
        use serde_json::Value;
        match value {
            Value::String(text) => *text = format!("{evil}{text}"),
            Value::Array(items) => items.iter_mut().for_each(|item| replace(item, evil)),
            Value::Object(fields) => {
                if let Some(Value::Object(causes)) = fields.get_mut("lost_by_cause") {
                    *causes =
                        std::mem::take(causes).into_iter().map(|(k, v)| (format!("{evil}{k}"), v)).collect();
                }
                fields.values_mut().for_each(|field| replace(field, evil));
            }
            _ => {}
        }
    }
    let mut json = serde_json::to_value(results).unwrap();
    replace(&mut json, evil);
    serde_json::from_value(json).unwrap()
}

#[test]
fn the_check_finds_flaws() {
    assert_eq!(flaw("<a b=\"c\">d &amp; e<br/></a>"), None);
    for bad in [
        "<a>",
        "<a></b>",
        "<a b=c></a>",
        "<a>&nbsp;</a>",
        "<a b=\"1\" b=\"2\"></a>",
        "<a></a><b></b>",
        "<a>\0</a>",
    ] {
        assert!(flaw(bad).is_some(), "{bad}");
    }
}

#[test]
fn all_is_well_formed() {
    for results in [fixture::plausible(), fixture::greatest(), fixture::nothing()] {
        for (name, markup) in everything(&results) {
            assert_eq!(flaw(&markup), None, "{name}");
        }
    }
    assert_eq!(charts(&fixture::nothing()), []);
    assert_eq!(charts(&fixture::plausible()).len(), 6);
}

#[test]
fn the_same_results_make_the_same_page() {
    assert_eq!(everything(&fixture::plausible()), everything(&fixture::plausible()));
}

#[test]
fn outside_text_is_escaped() {
    let evil = "<script x='1' y=\"2\">&\u{1}`";
    let mut results = with_all_strings(&fixture::plausible(), evil);
    results.partial = Some(evil.into());
    // Without the names of its traffics and arms a page has fewer charts; once more with those.
    let mut named = fixture::plausible();
    named.machine = results.machine.clone();
    named.lessons = results.lessons.clone();
    for results in [results, named] {
        for (name, markup) in everything(&results) {
            assert_eq!(flaw(&markup), None, "{name}");
            assert!(!markup.contains("<script"), "{name}");
        }
        assert!(html(&results).contains("&lt;script x=&#39;1&#39; y=&quot;2&quot;&gt;&amp;\u{fffd}"));
    }
}

#[test]
fn nothing_comes_from_outside() {
    let page = html(&fixture::plausible());
    for word in ["<script", "<link", "<img", "src=", "url(", "@import", "http:", "https:"] {
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn every_arm_is_in_every_table() {
    let mut results = fixture::greatest();
    results.results.push(Measured {
        arm: "unannounced".into(),
        traffic: "1-flow".into(),
        ..Measured::default()
    });
    let page = html(&results);
    let from = page.find("id=\"figures\"").unwrap();
    let to = page.find("id=\"method\"").unwrap();
    let figures = &page[from..to];
    let names = results.config.arms.iter().map(|arm| arm.name.as_str()).chain(["unannounced"]);
    for name in names {
        let heading = format!("<th scope=\"row\">{name}</th>");
        assert_eq!(figures.matches(&heading).count(), results.config.traffics.len(), "{name}");
    }
    assert!(figures.contains("not measured: softflowd is not installed"));
}

#[test]
fn losses_are_marked_by_more_than_colour() {
    let page = html(&fixture::plausible());
    assert!(page.contains("<td class=\"lost\">▲ "));
    // So few are lost that rounding would hide them.
    assert!(page.contains("lost &lt; 0.01 %"));
    assert!(page.contains("99.9999 %"));
}

#[test]
fn what_is_no_number_is_not_shown_as_one() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, f64::MAX, f64::MIN_POSITIVE] {
        let mut results = fixture::plausible();
        for one in results.results.iter_mut().step_by(3) {
            (one.mpps, one.mpps_low, one.ratio, one.ratio_low, one.ratio_high) =
                (value, value, value, value, value);
            (one.slower_ns, one.cost_ns, one.consumer_cpu) = (value, value, value);
            (one.added_ns, one.isolated_ns) = (Some(value), Some(value));
            (one.accuracy_flows, one.accuracy_packets) = (Some(value), Some(value));
            one.mpps_rounds = vec![value; 2];
        }
        for point in results.load.iter_mut().step_by(2) {
            (point.offered_mpps, point.lost_share, point.consumer_cpu) = (value, value, value);
        }
        for scaling in &mut results.scaling {
            scaling.points[0].mpps = value;
            scaling.fit.as_mut().unwrap().sigma = value;
        }
        results.lessons[0].numbers.insert("a".into(), value);
        results.seconds = value;
        for (name, markup) in everything(&results) {
            assert_eq!(flaw(&markup), None, "{name} with {value}");
            let markup = markup.replace("info", "").replace("inform", "");
            assert!(!markup.contains("NaN"), "{name} with {value}");
            assert!(!markup.contains("inf"), "{name} with {value}");
        }
    }
}

/// A quick study has too few numbers of flows and of CPUs for any law.
#[test]
fn every_link_leads_somewhere() {
    let mut without_laws = fixture::plausible();
    without_laws.flow_scaling.iter_mut().for_each(|one| one.fit = None);
    without_laws.scaling.iter_mut().for_each(|one| one.fit = None);
    for results in [fixture::plausible(), without_laws, fixture::nothing()] {
        let page = html(&results);
        for target in page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(page.contains(&format!("id=\"{target}\"")), "{target}");
        }
    }
}

#[test]
fn a_partial_study_says_so() {
    let mut results = fixture::plausible();
    assert!(!html(&results).contains("not complete"));
    results.partial = Some("disk full".into());
    assert!(html(&results).contains("This study is not complete: </b>disk full."));
}

#[test]
fn the_article_stands_beside_our_figures() {
    let charts = charts(&fixture::plausible());
    let text = |file: &str| charts.iter().find(|chart| chart.0 == file).unwrap().1.clone();
    // 2.54 ÷ 4.77, and 4.3 ÷ 4.82.
    assert!(text("throughput-one-flow.svg").contains(">article 0.53</text>"));
    assert!(text("throughput-many-flows.svg").contains(">article 0.89</text>"));
}

/// Writes pages to look at into the folder that `WEIR_REPORT_DIR` names.
#[test]
#[ignore = "for the eyes"]
fn write_pages() -> std::io::Result<()> {
    let Some(folder) = std::env::var_os("WEIR_REPORT_DIR").map(std::path::PathBuf::from) else {
        return Ok(());
    };
    std::fs::create_dir_all(&folder)?;
    let mut partial = fixture::nothing();
    partial.partial = Some("interrupted in the first round".into());
    for (name, results) in
        [("plausible", fixture::plausible()), ("greatest", fixture::greatest()), ("nothing", partial)]
    {
        std::fs::write(folder.join(format!("{name}.html")), html(&results))?;
        for (file, chart) in charts(&results) {
            std::fs::write(folder.join(format!("{name}-{file}")), chart)?;
        }
    }
    Ok(())
}
