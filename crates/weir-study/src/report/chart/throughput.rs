//! Throughput by arm, for one and for many flows, the article's figures beside ours.

use super::bars::{Bar, Bars, Interval};
use super::{Chart, Drawing};
use crate::report::{figures, study};
use crate::results::{ARTICLE, NONE, Published, Results, TrafficInfo, WEIR};

/// Two charts, or one where there is only one traffic.
pub fn charts(results: &Results) -> Vec<Chart> {
    let one = study::one_flow(results);
    let many = study::many_flows(results).filter(|many| one.as_ref().is_none_or(|one| one.name != many.name));
    let one = one.and_then(|traffic| chart(results, "throughput-one-flow.svg", &traffic));
    let many = many.and_then(|traffic| chart(results, "throughput-many-flows.svg", &traffic));
    one.into_iter().chain(many).collect()
}

fn chart(results: &Results, file: &'static str, traffic: &TrafficInfo) -> Option<Chart> {
    let is_one = traffic.flows == 1;
    let article = |published: &Published| if is_one { published.one_flow } else { published.forty_flows };
    let native = ARTICLE.iter().find(|published| published.arm == NONE).map(article)?;
    let of_article = |arm: &str| {
        let published = ARTICLE.iter().find(|published| published.arm == arm && arm != NONE);
        published.map(|published| article(published) / native)
    };
    let mut rows: Vec<Bar> = study::arms(results)
        .iter()
        .filter(|arm| arm.name != NONE)
        .map(|arm| bar(results, &traffic.name, &arm.name, of_article(&arm.name)))
        .filter(|bar| bar.own.is_some() || bar.article.is_some())
        .collect();
    if rows.iter().all(|bar| bar.own.is_none()) {
        return None;
    }
    rows.sort_by(|a, b| key(b).total_cmp(&key(a)));
    let native = results.of(NONE, &traffic.name).map(|none| none.mpps).filter(|mpps| mpps.is_finite());
    let reference = native.map_or(String::new(), |mpps| format!(", {} Mpps", figures::mpps(mpps)));
    let words = rows.iter().map(in_words).collect::<Vec<_>>().join("; ");
    let whose = if is_one { "one flow" } else { "40 flows" };
    Some(Chart {
        file,
        title: format!("Throughput with {}, as a ratio to unwatched", study::flows(traffic).replace('`', "")),
        notes: vec![
            format!(
                "Traffic `{}`. Packets per second that arrived at the far end, divided by those of `{NONE}` in the same \
                 round: the median, and its 95 % bootstrap interval. Longer is better; hollow bars lost packets.",
                traffic.name
            ),
            format!(
                "The article's figures are those for {whose}, divided by its own figure without a watcher."
            ),
        ],
        words,
        drawing: Drawing::Bars(Bars {
            reference: format!("{NONE}{reference}"),
            article: format!("the article, {whose}"),
            rows,
        }),
    })
}

fn bar(results: &Results, traffic: &str, arm: &str, article: Option<f64>) -> Bar {
    let measured = results.of(arm, traffic);
    let lost = measured.filter(|one| study::has_lost(one));
    Bar {
        name: arm.into(),
        is_ours: arm == WEIR,
        own: measured.and_then(|one| Interval::new(one.ratio, one.ratio_low, one.ratio_high)),
        lost: lost
            .map(|one| format!("lost {}", figures::or_missing(study::lost_share(one), figures::percent))),
        article,
    }
}

/// The fastest first, what was not measured last.
fn key(bar: &Bar) -> f64 {
    bar.own.map_or(-1.0, |own| own.value)
}

fn in_words(bar: &Bar) -> String {
    let own = bar.own.map_or("not measured".into(), |own| {
        format!("{} ({} to {})", figures::ratio(own.value), figures::ratio(own.low), figures::ratio(own.high))
    });
    let lost = bar.lost.as_ref().map_or(String::new(), |lost| format!(", {lost}"));
    let article =
        bar.article.map_or(String::new(), |article| format!(", article {}", figures::number(article, 2)));
    format!("{} {own}{lost}{article}", bar.name)
}
