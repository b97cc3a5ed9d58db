//! A page of metrics: what is read of it says all that it says, and so do the requests that are made of it.

use super::cut;
use crate::otlp::Resource;
use crate::protobuf::{Content, Fields};
use crate::push::otlp::Metrics;
use crate::push::page::{Family, Kind, Labels, Number, families};
use crate::push::pusher::Words;
use crate::push::remote_write::Samples;
use std::fmt::Write;

/// Reads it, and what was read when it is written again. A page that is cut off is none.
pub fn page(choice: u8, page: &str) {
    let Ok(read) = families(page) else { return };
    let again = families(&written(&read)).expect("it was written as it should be");
    assert_eq!(shown(&again), shown(&read));
    if let Ok(start) = std::str::from_utf8(cut(page.as_bytes(), choice))
        && let Ok(part) = families(start)
    {
        assert_eq!(shown(&part), shown(&read), "nothing but the last line's end is missing");
    }
    let samples: usize = read.iter().map(|family| family.samples.len()).sum();
    let requests = Samples::new(Labels::new()).requests(Some(page), 1).expect("it is a page");
    assert_eq!(requests.iter().map(|request| told(&request.body)).sum::<usize>(), samples);
    // A histogram may be none to OpenTelemetry, and is one data point.
    if let Ok(requests) = Metrics::new(Resource::default()).requests(Some(page), 1) {
        let points: u64 = requests.iter().map(|request| request.samples).sum();
        assert!(points <= samples as u64 && (points > 0) == (samples > 0), "{points} of {samples}");
    }
}

/// NaN is another number than itself, but looks the same.
fn shown(families: &[Family]) -> String {
    format!("{families:?}")
}

fn written(families: &[Family]) -> String {
    let mut page = String::new();
    for Family { name, help, unit, kind, samples } in families {
        let _ = writeln!(page, "# HELP {name} {help}\n# UNIT {name} {unit}");
        let _ = match kind {
            Kind::Unknown => Ok(()),
            Kind::Counter => writeln!(page, "# TYPE {name} counter"),
            Kind::Gauge => writeln!(page, "# TYPE {name} gauge"),
            Kind::Histogram => writeln!(page, "# TYPE {name} histogram"),
        };
        for sample in samples {
            let value = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let told = sample.labels.iter().map(|(name, text)| format!("{name}=\"{}\"", value(text)));
            let told: Vec<_> = told.collect();
            let number = match sample.value {
                Number::Whole(number) => number.to_string(),
                Number::Real(number) => format!("{number:?}"),
            };
            let _ = writeln!(page, "{}{{{}}} {number}", sample.name, told.join(","));
        }
    }
    page + "# EOF\n"
}

/// How many series are in a request.
fn told(body: &[u8]) -> usize {
    let plain = snap::raw::Decoder::new().decompress_vec(body).expect("it is Snappy's");
    let series = Fields::of(&plain).map(|field| field.expect("it is Protobuf"));
    series.filter(|(number, content)| *number == 1 && matches!(content, Content::Bytes(_))).count()
}
