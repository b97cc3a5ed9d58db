//! Property test: packets that cross several interfaces, seen in any order, some of them lost on
//! their way, some while a drain goes by. Every sighting is exported once; every packet is
//! counted at most once, and exactly once if none is lost.

use super::samples::{books, entry, settings, tcp_between};
use super::{Counted, Dedup, Joining, Place, Table, Tuples, record};
use crate::{Books, Settings};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;
use weir_probes::flows::{Digester, Seen, Ticks};
use weir_record::{Count, FlowRecord};

const SECOND: u64 = 1_000_000_000;
const TICK: u64 = 4_000_000;
/// The first second; the clock does not start at 0.
const START: u64 = 1_000;
/// Long enough for many records, and for the idle timeout of 15 s to pass between two packets.
const SECONDS: u64 = 100;
const ACTIVE_TIMEOUT: Duration = Duration::from_secs(3);

/// Ports of a conversation, and the points that its packets pass on their way there and back.
type Route = ((u16, u16), &'static [u16], &'static [u16]);

/// Through three interfaces; through two, forth and back by the same; on loopback; through a NAT.
const ROUTES: [Route; 5] = [
    ((40_000, 80), &[2, 5, 7], &[6, 4, 3]),
    ((443, 50_000), &[6, 3], &[2, 7]),
    ((5_000, 5_001), &[3, 2], &[3, 2]),
    ((6_000, 6_000), &[4], &[]),
    (MEANT, &[2, 5, 7], &[6, 4, 3]),
];
const MEANT: (u16, u16) = (45_000, 70);
/// What that is behind the NAT, at the last interface.
const BEHIND: (u16, u16) = (55_000, 7_070);

/// Ports of a packet as it passes a point.
fn ports_at(point: u16, route: usize) -> (u16, u16) {
    match ROUTES[route].0 {
        MEANT if point >= 6 => BEHIND,
        ports => ports,
    }
}

fn joinings() -> impl Iterator<Item = Joining> {
    let dedups = [Dedup::Off, Dedup::First, Dedup::Outer, Dedup::Inner];
    [true, false].into_iter().flat_map(move |biflow| dedups.map(|dedup| Joining { biflow, dedup }))
}

/// One packet on its way.
#[derive(Debug, Clone)]
struct Packet {
    route: usize,
    back: bool,
    second: u64,
    /// After how many points it is lost.
    lost_after: usize,
    /// After how many points a drain goes by.
    drained_after: usize,
    /// Where among the others its sightings are read.
    shuffle: u32,
}

impl Packet {
    fn points(&self) -> &'static [u16] {
        let (_, there, back) = ROUTES[self.route];
        let points = if self.back { back } else { there };
        &points[..self.lost_after.min(points.len())]
    }
}

fn packets(lossy: bool) -> impl Strategy<Value = Vec<Packet>> {
    let lost_after = if lossy { (0usize..4).boxed() } else { Just(usize::MAX).boxed() };
    // Seconds in clusters, so that conversations also fall silent.
    let second = prop_oneof![3 => 0..20u64, 1 => 0..SECONDS];
    let packet = (0..ROUTES.len(), any::<bool>(), second, lost_after, 0usize..5, any::<u32>());
    let packet = packet.prop_map(|(route, back, second, lost_after, drained_after, shuffle)| Packet {
        route,
        back,
        second,
        lost_after,
        drained_after,
        shuffle,
    });
    vec(packet, 0..150)
}

/// All records of these packets, the books after them, and what each point saw.
fn run(packets: &[Packet], joining: Joining) -> (Vec<FlowRecord>, Books, BTreeMap<u16, Count>) {
    let settings = Settings { active_timeout: ACTIVE_TIMEOUT, ..settings(joining, 100) };
    let (mut books, mut table) = (books(), Table::new(&settings));
    if joining.dedup != Dedup::Off {
        let [original, translated] = [MEANT, BEHIND].map(|(from, to)| tcp_between([0; 4], [0; 4], from, to));
        table.translate(Tuples { original, translated }, Place { netns: 0, domain: 0 });
    }
    let (mut records, mut seen) = (Vec::new(), BTreeMap::<u16, Count>::new());
    let mut intervals: BTreeMap<u64, Vec<(u32, u16, u64, &Packet)>> = BTreeMap::new();
    for packet in packets {
        for (hop, point) in (0u64..).zip(packet.points()) {
            let late = u64::from(hop as usize >= packet.drained_after);
            let sighting = (packet.shuffle.rotate_left(hop as u32 * 7), *point, hop, packet);
            intervals.entry(packet.second + late).or_default().push(sighting);
        }
    }
    for second in 0..SECONDS + 2 {
        let mut sightings = intervals.remove(&second).unwrap_or_default();
        sightings.sort_by_key(|(place, ..)| *place);
        for (_, point, hop, packet) in sightings {
            let ports = ports_at(point, packet.route);
            let ports = if packet.back { (ports.1, ports.0) } else { ports };
            let found = entry(point, ports, 1, 16);
            let count = Count { packets: found.packets, bytes: found.bytes };
            *seen.entry(point).or_default() += count;
            books.hold(point, count);
            // In the last ticks of its second.
            let time = (START + packet.second) * SECOND - (10 - hop) * TICK;
            let seen = Seen { entry: &found, addresses: None, parent: 0 };
            table.add(Counted { seen, digester: Digester::default(), rate: 1 }, &Ticks::at(time));
        }
        table.expire((START + second) * SECOND, |ending| records.extend(record(ending, &books)));
    }
    table.force(|_| true, |ending| records.extend(record(ending, &books)));
    books.settle(&records, Ok(()));
    (records, books, seen)
}

fn counted(records: &[FlowRecord]) -> u64 {
    let back = |record: &FlowRecord| record.reverse.map_or(0, |reverse| reverse.count.packets);
    records.iter().map(|record| record.packets + back(record)).sum()
}

fn check(packets: &[Packet], lossy: bool) -> Result<(), TestCaseError> {
    let truth = packets.iter().filter(|packet| !packet.points().is_empty()).count() as u64;
    for joining in joinings() {
        let (records, books, seen) = run(packets, joining);
        for (point, count) in &seen {
            let account = books.account(*point).expect("its account is open");
            prop_assert_eq!((account.exported, account.held), (*count, Count::default()), "{:?}", joining);
        }
        let sightings: u64 = seen.values().map(|count| count.packets).sum();
        match joining.dedup {
            Dedup::Off => prop_assert_eq!(counted(&records), sightings, "{:?}", joining),
            _ if lossy => prop_assert!(counted(&records) <= truth, "{:?}", joining),
            _ => prop_assert_eq!(counted(&records), truth, "{:?} {:?}", joining, records),
        }
        for record in &records {
            prop_assert!(!record.observations.is_empty() && record.start <= record.end);
            let meant = record.key.ports() == Some(MEANT) || record.key.ports() == Some((MEANT.1, MEANT.0));
            prop_assert_eq!(
                record.translation.is_some(),
                meant && joining.dedup != Dedup::Off,
                "{:?}",
                record
            );
            let is_behind =
                |seen: &weir_record::Observation| meant && joining.dedup != Dedup::Off && seen.point >= 6;
            prop_assert!(record.observations.iter().all(|seen| seen.translated == is_behind(seen)));
        }
    }
    Ok(())
}

/// A record without what depends on the order in which its parts are read.
fn essence(mut records: Vec<FlowRecord>) -> Vec<String> {
    records.iter_mut().for_each(|record| record.flow_id = 0);
    let mut lines: Vec<_> = records.iter().map(|record| format!("{record:?}")).collect();
    lines.sort();
    lines
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn without_loss_every_packet_is_counted_once(packets in packets(false)) {
        check(&packets, false)?;
    }

    #[test]
    fn with_loss_no_packet_is_counted_twice(packets in packets(true)) {
        check(&packets, true)?;
    }

    #[test]
    fn the_order_of_reading_does_not_matter(packets in packets(true), salt in any::<u32>()) {
        let mut shuffled = packets.clone();
        shuffled.iter_mut().for_each(|packet| packet.shuffle = packet.shuffle.wrapping_mul(salt | 1));
        for joining in joinings() {
            prop_assert_eq!(essence(run(&packets, joining).0), essence(run(&shuffled, joining).0));
        }
    }
}
