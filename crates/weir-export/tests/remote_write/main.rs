//! What `/metrics` says, pushed: what Prometheus has of it, and what a server's answers do.

mod answers;
mod prometheus;
mod server;

use nix::sys::signal::Signal;
use prometheus::{Prometheus, Series};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};
use weir_export::{Push, Pushed, Pusher};
use weir_record::{PeerCondition, PushState};
use weir_tests::wait_for;

const SOON: Duration = Duration::from_secs(60);

/// A page as the agent makes them, and its series as a person reads them. Of `number` some values are made.
fn page(number: u64) -> String {
    format!(
        "# HELP weir_seen_packets Counted.\n# TYPE weir_seen_packets counter\n# UNIT weir_seen_packets packets\n\
         weir_seen_packets_total{{netns=\"\",interface=\"eth0\"}} {number}\n\
         weir_seen_packets_total{{netns=\"a b\",interface=\"gr\\\"ö\\\\ße\\n\"}} 1.5\n\
         # HELP weir_rtt_seconds Times.\n# TYPE weir_rtt_seconds histogram\n# UNIT weir_rtt_seconds seconds\n\
         weir_rtt_seconds_sum 0.25\nweir_rtt_seconds_count 3\n\
         weir_rtt_seconds_bucket{{le=\"0.001\"}} 1\nweir_rtt_seconds_bucket{{le=\"+Inf\"}} 3\n\
         # HELP weir_up Now.\n# TYPE weir_up gauge\nweir_up -1\n# EOF\n"
    )
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = [("job", "weir"), ("instance", "here")];
    own.iter().chain(pairs).map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

/// What is on [`page`], with `seen` as the number that changes.
fn expected(seen: &str) -> BTreeMap<BTreeMap<String, String>, String> {
    [
        (labels(&[("__name__", "weir_seen_packets_total"), ("interface", "eth0")]), seen),
        (
            labels(&[
                ("__name__", "weir_seen_packets_total"),
                ("netns", "a b"),
                ("interface", "gr\"ö\\ße\n"),
            ]),
            "1.5",
        ),
        (labels(&[("__name__", "weir_rtt_seconds_sum")]), "0.25"),
        (labels(&[("__name__", "weir_rtt_seconds_count")]), "3"),
        (labels(&[("__name__", "weir_rtt_seconds_bucket"), ("le", "0.001")]), "1"),
        (labels(&[("__name__", "weir_rtt_seconds_bucket"), ("le", "+Inf")]), "3"),
        (labels(&[("__name__", "weir_up")]), "-1"),
    ]
    .map(|(labels, value)| (labels, value.to_owned()))
    .into()
}

/// One that pushes there, and what it writes into the log.
fn pusher(url: &str) -> (Pusher, Receiver<String>) {
    let remote = Push::remote_write(url).unwrap_or_else(|mistake| panic!("{url}: {mistake}"));
    let (tell, told) = channel();
    (remote.pusher("here".into(), Box::new(move |line| drop(tell.send(line)))), told)
}

fn push(pusher: &mut Pusher) -> PushState {
    pusher.push(Instant::now() + SOON);
    pusher.state().lock().expect("nobody panics").clone()
}

/// Pushes until nothing waits.
fn catch_up(pusher: &mut Pusher) -> PushState {
    wait_for("nothing waits", SOON, || {
        sleep(Duration::from_millis(20));
        Some(push(pusher)).filter(|state| state.waiting_samples == 0)
    })
}

/// Values of the series that counts, in the order of their times.
fn counted(samples: &Series) -> Vec<String> {
    let series = labels(&[("__name__", "weir_seen_packets_total"), ("interface", "eth0")]);
    samples[&series].iter().map(|(_, value)| value.clone()).collect()
}

/// A page for each number, some time apart: times are whole milliseconds.
fn look(pusher: &mut Pusher, numbers: std::ops::Range<u64>) {
    for number in numbers {
        pusher.look(Ok(page(number)));
        sleep(Duration::from_millis(3));
    }
}

#[test]
fn prometheus_has_every_series_of_the_page() {
    let prometheus = Prometheus::start();
    let (mut pusher, _) = pusher(&prometheus.url());
    pusher.look(Ok(page(7)));
    let state = push(&mut pusher);
    assert_eq!((state.taken_samples, state.waiting_samples, state.error), (7, 0, None));
    assert_eq!(state.condition, PeerCondition::Connected);
    let samples = prometheus.samples();
    let values = samples.into_iter().map(|(labels, samples)| {
        assert_eq!(samples.len(), 1, "{labels:?}");
        (labels, samples[0].1.clone())
    });
    assert_eq!(values.collect::<BTreeMap<_, _>>(), expected("7"));
}

/// What is no more has no value at once, not only when it is five minutes old; nor has anything once the agent has ended.
#[test]
fn series_end() {
    let prometheus = Prometheus::start();
    let (mut pusher, _) = pusher(&prometheus.url());
    let now = || prometheus.now("{job=\"weir\"}").len();
    pusher.look(Ok(page(1)));
    push(&mut pusher);
    assert_eq!(now(), 7);
    let shorter: String = page(2)
        .lines()
        .filter(|line| !line.contains("netns=\"a b\""))
        .map(|line| format!("{line}\n"))
        .collect();
    pusher.look(Ok(shorter));
    assert_eq!(push(&mut pusher).taken_samples, 14);
    assert_eq!(now(), 6);
    pusher.look(Err(std::io::Error::other("the agent does not answer")));
    let state = push(&mut pusher);
    assert_eq!((state.taken_samples, state.gaps, now()), (20, 1, 0));
    assert!(
        state.error.as_ref().is_some_and(|error| error.contains("the agent does not answer")),
        "{state:?}"
    );
    pusher.look(Ok(page(3)));
    assert_eq!((push(&mut pusher).error, now()), (None, 7));
    let state = pusher.state();
    pusher.finish();
    let state = state.lock().expect("nobody panics").clone();
    assert_eq!((state.taken_samples, state.dropped_samples, now()), (34, 0, 0));
    assert_eq!(counted(&prometheus.samples()), ["1", "2", "3"]);
}

/// Nothing is missing and nothing is there twice, whether nobody listens or nobody answers.
#[test]
fn a_server_that_is_away_has_everything_later() {
    let mut prometheus = Prometheus::start();
    let (mut pusher, told) = pusher(&prometheus.url());
    look(&mut pusher, 0..5);
    push(&mut pusher);
    prometheus.stop();
    look(&mut pusher, 5..10);
    let away = push(&mut pusher);
    assert_eq!((away.condition, away.waiting_samples, away.failures), (PeerCondition::Away, 35, 1));
    assert!(away.error.as_ref().is_some_and(|error| error.contains("refused")), "{away:?}");
    prometheus.go_on();
    catch_up(&mut pusher);
    prometheus.signal(Signal::SIGSTOP);
    look(&mut pusher, 10..15);
    let stalled = push(&mut pusher);
    assert!(
        stalled.error.as_ref().is_some_and(|error| error.contains("does not answer within")),
        "{stalled:?}"
    );
    prometheus.signal(Signal::SIGCONT);
    let state = catch_up(&mut pusher);
    assert_eq!((state.taken_samples, state.refused_samples, state.dropped_samples), (105, 0, 0));
    let numbers: Vec<_> = (0..15).map(|number| number.to_string()).collect();
    let samples = prometheus.samples();
    assert_eq!(counted(&samples), numbers);
    assert!(samples.values().all(|samples| samples.len() == 15), "{samples:?}");
    assert!(told.try_iter().next().is_some_and(|line| line.contains("refused")));
}

/// More series than one request has room for, by a thread of its own.
#[test]
fn a_thread_pushes_many_series() {
    let prometheus = Prometheus::start();
    let url = format!("{}?job=weir&instance=there", prometheus.url());
    let remote = Push::remote_write(&url).expect("a URL");
    let lines: String = (0..4500).map(|number| format!("many{{number=\"{number}\"}} {number}\n")).collect();
    let source = Pushed {
        instance: "here".into(),
        interval: Duration::from_millis(200),
        page: Box::new(move || Ok(format!("# TYPE many gauge\n{lines}# EOF\n"))),
    };
    let running = remote.start(source, Box::new(drop)).expect("a thread");
    let state = running.state();
    wait_for("it has pushed twice", SOON, || {
        (state.lock().expect("nobody panics").taken_samples >= 9000).then_some(())
    });
    running.stop().join().expect("it ends");
    let samples = prometheus.samples();
    assert_eq!(samples.len(), 4500);
    for (labels, samples) in &samples {
        assert_eq!(labels["instance"], "there");
        assert!(samples.iter().all(|(_, value)| *value == labels["number"]), "{labels:?}: {samples:?}");
    }
    assert!(prometheus.now("many").is_empty());
    let state = state.lock().expect("nobody panics").clone();
    let made = samples.values().map(|samples| samples.len() as u64).sum::<u64>() + 4500;
    assert_eq!((state.taken_samples, state.dropped_samples), (made, 0), "{state:?}");
}
