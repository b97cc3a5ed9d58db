//! Property test: for random filters and random packets, the kernel's rows and the filter's
//! tree come to the same end.

use super::{Assembly, Policy, Selector};
use crate::decode;
use libbpf_rs::ProgramInput;
use proptest::collection::vec;
use proptest::test_runner::{Config, TestRunner};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use weir_filter::generate::{kernel_filters, keys, record};
use weir_filter::{Action, Filter, Rule};
use weir_kernel::LedgerCell;
use weir_probes::flows::{Demand, Flows, InterfaceId, Layout, LinkLayer, Points, Seen, Visitor};
use weir_record::{Addresses, Direction, FlowKey, Interface, InterfaceKind};

const POINT: u16 = 2;

/// Keys that were counted, and how many packets were filtered.
#[derive(Default)]
struct Findings {
    counted: HashSet<FlowKey>,
    filtered: u64,
    seen: u64,
}

impl Visitor for Findings {
    fn flow(&mut self, Seen { entry, addresses, .. }: Seen<'_>) {
        self.counted.insert(decode::key(entry, addresses));
    }

    fn cell(&mut self, _point: u16, cell: &LedgerCell) {
        self.filtered += cell.filtered_packets;
        self.seen += cell.seen_packets;
    }
}

/// A frame whose key this is; none where no frame has it.
fn frame(key: &FlowKey) -> Option<Vec<u8>> {
    let (ethertype, payload) = match *key {
        FlowKey::Other { ethertype, .. } => (ethertype, vec![]),
        FlowKey::Ip { addresses, protocol, ports, .. } => {
            let transport = transport(protocol, ports)?;
            match addresses {
                Addresses::V4(source, destination) => {
                    let mut header =
                        vec![0x45, 0, 0, (20 + transport.len()) as u8, 0, 0, 0, 0, 64, protocol, 0, 0];
                    header.extend(source.octets().iter().chain(&destination.octets()));
                    (0x0800, [header, transport].concat())
                }
                // A payload length of 0 is that of a jumbogram: everything that follows is payload.
                Addresses::V6(..) if transport.is_empty() && matches!(protocol, 1 | 6 | 17 | 58) => {
                    return None;
                }
                Addresses::V6(source, destination) => {
                    let mut header = vec![0x60, 0, 0, 0, 0, transport.len() as u8, protocol, 64];
                    header.extend(source.octets().iter().chain(&destination.octets()));
                    (0x86dd, [header, transport].concat())
                }
            }
        }
    };
    let mut frame = vec![0; 12];
    if let Some(vlan) = key.vlan() {
        frame.extend([0x81, 0, (vlan >> 8) as u8, vlan as u8]);
    }
    match ethertype {
        4 => frame.extend([0, 3]), // IEEE 802.2: a length
        other => frame.extend(other.to_be_bytes()),
    }
    frame.extend(payload);
    // The kernel's test run wants a whole IP header behind the Ethernet header, whatever it is.
    frame.resize(frame.len().max(96), 0);
    Some(frame)
}

fn transport(protocol: u8, ports: Option<(u16, u16)>) -> Option<Vec<u8>> {
    match (protocol, ports) {
        (1 | 58, Some((kind, code))) => Some([&[kind as u8, code as u8], [0; 6].as_slice()].concat()),
        (6 | 17, Some((source, destination))) => {
            let mut header = [source.to_be_bytes(), destination.to_be_bytes()].concat();
            header.resize(if protocol == 6 { 20 } else { 8 }, 0);
            if protocol == 6 {
                header[12] = 0x50;
            } else {
                header[5] = 8;
            }
            Some(header)
        }
        // Cut short by the datagram's own length.
        (1 | 58 | 6 | 17, None) | (47 | 200, None) => Some(vec![]),
        _ => None,
    }
}

fn probe() -> Flows {
    let layout = Layout::new(Demand::one_interface(8 << 20, 64)).expect("8 MiB hold a flow");
    let mut flows = Flows::load(layout).expect("the probe loads: these tests need root");
    let loopback = InterfaceId { netns: 0, index: 1 };
    flows.watch(loopback, Points { outer: POINT, inner: 0 }, LinkLayer::Ethernet).expect("it can be watched");
    flows
}

fn drain(flows: &mut Flows) -> Findings {
    let left = flows.flip().expect("the generation flips");
    let mut findings = Findings::default();
    flows.drain(left, &mut findings).expect("the generation drains");
    findings
}

fn compiled(
    filter: &Filter,
    flows: &Flows,
    interface: &Interface,
) -> Option<weir_probes::flows::rules::Compiled> {
    let rule = Rule { action: Action::Deny, filter: Some(filter.clone()) };
    let policy = Policy { rules: vec![rule], filter: None };
    let assembly =
        Assembly { both_directions: false, all_points: false, parents: false, translations: false };
    let selector = Selector::new(policy, assembly, flows.layout().rule_room).ok()?;
    let point = (POINT, interface, Direction::Ingress);
    Some(selector.compiled(std::iter::once(point)).expect("there is room for a point"))
}

#[test]
fn root_the_kernel_and_the_tree_agree() {
    let (netns, kind) = ("blue".into(), InterfaceKind::Veth);
    let interface = Interface { name: "eth1".into(), index: 1, netns, own_netns: false, kind };
    let probe = RefCell::new(probe());
    let mut runner = TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
    let (packets, filtered, refused) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let cases = (kernel_filters(), vec(keys(), 40));
    let outcome = runner.run(&cases, |(filter, keys)| {
        let mut flows = probe.borrow_mut();
        let Some(rules) = compiled(&filter, &flows, &interface) else {
            refused.set(refused.get() + 1); // it takes more rows than there are
            return Ok(());
        };
        flows.set_rules(rules);
        drain(&mut flows);
        drain(&mut flows);
        let sendable: HashSet<FlowKey> = keys.into_iter().filter(|key| frame(key).is_some()).collect();
        for key in &sendable {
            let data = frame(key).expect("it was made before");
            let input = ProgramInput { data_in: Some(&data), ..Default::default() };
            flows.loaded().program("weir_ingress").expect("it is there").test_run(input).expect("it runs");
        }
        let found = drain(&mut flows);
        let wanted = |key: &FlowKey| !filter.matches(&record(interface.clone(), Direction::Ingress, *key));
        let expected: HashSet<FlowKey> = sendable.iter().copied().filter(wanted).collect();
        let difference: Vec<_> = found.counted.symmetric_difference(&expected).collect();
        assert!(difference.is_empty(), "{filter}: {difference:?}");
        assert_eq!(found.seen, sendable.len() as u64, "{filter}");
        assert_eq!(found.filtered, (sendable.len() - expected.len()) as u64, "{filter}");
        packets.set(packets.get() + sendable.len());
        filtered.set(filtered.get() + found.filtered as usize);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let (packets, filtered, refused) = (packets.get(), filtered.get(), refused.get());
    assert!(filtered > packets / 20 && filtered < packets * 19 / 20, "{filtered} of {packets} filtered");
    assert!(refused < 40, "{refused} of 400 filters do not fit");
}

/// What the filter does not want may be left out in the kernel only as far as no wanted packet is.
#[test]
fn before_the_filter_nothing_wanted_is_left_out() {
    use weir_filter::generate::{directions, filters, interfaces};
    let mut runner = TestRunner::new(Config { cases: 2000, failure_persistence: None, ..Config::default() });
    let place = (interfaces(), directions());
    let outcome = runner.run(&(filters(), keys(), place), |(filter, key, (interface, direction))| {
        let assembly =
            Assembly { both_directions: true, all_points: false, parents: false, translations: false };
        let Ok(rows) = super::wanted_rows(&filter, assembly) else { return Ok(()) };
        let record = record(interface.clone(), direction, key);
        if filter.matches(&record) {
            assert!(rows.iter().any(|row| row.matches(&key, &interface, direction)), "{filter} {record:?}");
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

fn selector(rules: &[&str], filter: &str, assembly: Assembly) -> Selector {
    let rules = rules.iter().map(|rule| rule.parse().expect("a rule")).collect();
    let policy = Policy { rules, filter: Some(filter.parse().expect("a filter")) };
    let room = weir_probes::flows::rules::Room { blocks: 1 << 14, sets: 1 << 14 };
    Selector::new(policy, assembly, room).expect("it fits")
}

const JOINED: Assembly =
    Assembly { both_directions: true, all_points: true, parents: false, translations: false };

#[test]
fn a_filter_that_nothing_fits_is_said() {
    let remarks = |rules: &[&str], filter| selector(rules, filter, JOINED).remarks().len();
    assert_eq!(remarks(&[], "source_port == 1 and source_port == 2"), 1);
    assert_eq!(remarks(&["deny protocol == tcp"], "port == 80 and protocol == tcp and port == 81"), 0);
    assert_eq!(remarks(&["deny"], "packets > 5"), 1);
    assert_eq!(remarks(&["deny port == 80"], "packets > 5"), 0);
}

#[test]
fn tunnels_pass_to_name_what_they_carry() {
    let addresses = Addresses::V4([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
    let vxlan = FlowKey::Ip { vlan: None, addresses, protocol: 17, ports: Some((40_000, 4789)) };
    let filter: Filter = "port == 80".parse().expect("a filter");
    let passes = |parents| {
        let rows = super::wanted_rows(&filter, Assembly { parents, ..JOINED }).expect("it fits");
        let interface = Interface {
            name: "eth0".into(),
            index: 2,
            netns: "1".into(),
            own_netns: true,
            kind: InterfaceKind::Physical,
        };
        rows.iter().any(|row| row.matches(&vxlan, &interface, Direction::Ingress))
    };
    assert!(passes(true) && !passes(false));
}

/// Behind a NAT a wanted conversation has other addresses and ports, but the same protocol.
#[test]
fn what_may_be_translated_passes() {
    let addresses = Addresses::V4([10, 2, 0, 1].into(), [10, 2, 0, 2].into());
    let interface = Interface {
        name: "eth0".into(),
        index: 2,
        netns: "1".into(),
        own_netns: true,
        kind: InterfaceKind::Physical,
    };
    let filter: Filter =
        "destination_address == 10.96.0.10 and port == 80 and protocol == tcp".parse().expect("a filter");
    let passes = |protocol, translations| {
        let behind = FlowKey::Ip { vlan: None, addresses, protocol, ports: Some((40_000, 8080)) };
        let rows = super::wanted_rows(&filter, Assembly { translations, ..JOINED }).expect("it fits");
        rows.iter().any(|row| row.matches(&behind, &interface, Direction::Ingress))
    };
    assert!(passes(6, true) && !passes(6, false) && !passes(17, true));
}
