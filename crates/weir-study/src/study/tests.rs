//! Real packets through every arm.

use super::slice::{self, Consumer, Sees, Slice};
use super::watcher::Watcher;
use crate::arms::{self, Kind, Spec};
use crate::lab::{Lab, Line};
use crate::machine;
use crate::results::{EMPTY, NONE, WEIR};
use crate::senders::Job;
use crate::traffic::{GeneratorKind, Schedule};
use std::sync::Arc;
use std::time::Duration;

const READS: Consumer = Consumer::Reads(Duration::from_millis(20));

fn line(lab: &Lab, traffic: &str, generator: GeneratorKind, senders: usize) -> Line {
    let cpus = machine::allowed().expect("there are CPUs");
    let schedule = Schedule::new(&traffic.parse().expect("it is a traffic"), senders as u32, Vec::new());
    let cpus = &cpus[cpus.len() - senders..];
    Line::new(lab, Arc::new(schedule), generator, cpus).expect("packets can be sent")
}

fn job(rate: Option<f64>) -> Job {
    Job { time: Duration::from_millis(60), rate }
}

fn watch(lab: &Lab, line: &mut Line, spec: &Spec, rate: Option<f64>, consumer: Consumer) -> Slice {
    let mut watcher = Watcher::new(spec).unwrap_or_else(|error| panic!("{}: {error:#}", spec.name));
    slice::run((lab, line), &mut watcher, job(rate), (consumer, Sees::All))
        .unwrap_or_else(|error| panic!("{}: {error:#}", spec.name))
}

/// The truth is what was sent, flow by flow; the sink at the far end says that all of it arrived.
#[test]
fn root_every_arm_counts_every_packet() {
    let lab = Lab::veth().expect("namespaces can be made");
    for (traffic, generator) in [
        ("40-flows", GeneratorKind::Xdp),
        ("40-flows+ipv6+imix", GeneratorKind::Xdp),
        ("40-flows+imix", GeneratorKind::Udp),
        ("40-flows+ipv6", GeneratorKind::Udp),
        ("40-flows+imix", GeneratorKind::Packet),
        ("40-flows+ipv6", GeneratorKind::Packet),
    ] {
        let mut line = line(&lab, traffic, generator, 1);
        for spec in arms::ARMS.iter().filter(|spec| spec.kind != Kind::Program || spec.name == "af-packet") {
            if spec.name == "arena" && !weir_kernel::feature::is_at_least(6, 9) {
                continue;
            }
            // Slow enough for every consumer, on any machine.
            let slice = watch(&lab, &mut line, spec, Some(50_000.0), READS);
            let name = spec.name;
            assert!(slice.sent >= 1000, "{name}: {slice:?}");
            assert_eq!(slice.received, slice.sent, "{name} under {traffic}");
            if name != NONE && name != EMPTY {
                assert_eq!(
                    slice.tally.as_ref(),
                    Some(&slice.flows),
                    "{name} under {traffic}: {:?}",
                    slice.losses
                );
            }
        }
    }
}

#[test]
fn root_a_starved_consumer_shows_its_loss() {
    let lab = Lab::veth().expect("namespaces can be made");
    let mut line = line(&lab, "1-flow", GeneratorKind::Xdp, 1);
    for name in ["array", "percpu-array", "perfbuf", "ringbuf"] {
        let spec = arms::find(name).expect("there is such an arm");
        let mut watcher = Watcher::new(spec).expect("it loads");
        // Until the buffer is full, whatever the machine's rate.
        let slice = (0..20)
            .map(|_| {
                slice::run(
                    (&lab, &mut line),
                    &mut watcher,
                    Job { time: Duration::from_millis(1500), rate: None },
                    (Consumer::Starves, Sees::All),
                )
            })
            .map(|slice| slice.expect("packets are sent"))
            .find(|slice| !slice.losses.is_empty())
            .unwrap_or_else(|| panic!("{name} lost nothing"));
        let lost: u64 = slice.losses.values().sum();
        let reported = slice.reported.1.expect("it reports packets");
        assert_eq!(reported + lost, slice.received, "{name}: {:?}", slice.losses);
    }
    let weir = arms::find(WEIR).expect("there is such an arm");
    let slice = watch(&lab, &mut line, weir, None, Consumer::Starves);
    assert_eq!(slice.reported.1, Some(slice.received), "one flow needs no room");
}

/// One flow that two CPUs send: what is kept by CPU is added up, what is shared is not overwritten. But for the
/// article's hash, which is.
#[test]
fn root_every_arm_adds_up_what_two_cpus_send() {
    let lab = Lab::veth().expect("namespaces can be made");
    let mut line = line(&lab, "1-flow", GeneratorKind::Xdp, 2);
    for spec in arms::ARMS.iter().filter(|spec| spec.kind == Kind::Aggregate && spec.name != "hash-published")
    {
        if spec.name == "arena" && !weir_kernel::feature::is_at_least(6, 9) {
            continue;
        }
        let slice = watch(&lab, &mut line, spec, None, READS);
        assert_eq!(slice.received, slice.sent, "{}", spec.name);
        assert_eq!(slice.tally.as_ref(), Some(&slice.flows), "{}: {:?}", spec.name, slice.losses);
    }
}

/// Windows of 1024 packets by their numbers: the watcher has the even ones, and all packets arrive.
#[test]
fn root_a_watcher_behind_the_gate_sees_every_other_window() {
    if !weir_kernel::feature::is_at_least(6, 6) {
        return;
    }
    let lab = Lab::veth().expect("namespaces can be made");
    let hash = arms::find("percpu-hash").expect("there is such an arm");
    for generator in [GeneratorKind::Xdp, GeneratorKind::Packet, GeneratorKind::Udp] {
        let mut line = line(&lab, "1-flow", generator, 1);
        let mut watcher = Watcher::new(hash).expect("it loads");
        for _ in 0..2 {
            let first = line.begun()[0];
            let slice = slice::run((&lab, &mut line), &mut watcher, job(None), (READS, Sees::EveryOther))
                .expect("packets are sent");
            assert!(slice.sent > 4096 && slice.received == slice.sent, "{slice:?}");
            let even = (first..first + slice.sent).filter(|number| number / 1024 % 2 == 0).count() as u64;
            assert_eq!(slice.tally, Some(vec![even]));
            assert!(slice.nearby.is_some(), "{slice:?}");
        }
    }
}

/// The sink of one traffic is gone before that of the next hangs there: a filter that stayed would take its packets.
#[test]
fn root_one_traffic_after_the_other() {
    let lab = Lab::veth().expect("namespaces can be made");
    for _ in 0..10 {
        let mut line = line(&lab, "1-flow", GeneratorKind::Packet, 1);
        let job = Job { time: Duration::from_millis(2), rate: None };
        let slice = slice::run((&lab, &mut line), &mut Watcher::nobody(), job, (READS, Sees::All))
            .expect("packets are sent");
        assert!(slice.received > 0 && slice.received == slice.sent, "{slice:?}");
    }
}
