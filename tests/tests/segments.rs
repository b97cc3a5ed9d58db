//! Socket buffers that stand for many wire packets: GSO on the way out, GRO on the way in,
//! for TCP, UDP and through a tunnel. A record counts wire packets, each with its headers.
//!
//! The witnesses. With segmentation offload off the kernel still hands TC one large buffer
//! and cuts it afterwards, just before the interface counts it: `ip -s link` then counts wire
//! packets and wire bytes. With offload on the veth itself carries the large buffers and
//! `ip -s link` counts those. Then TCP's own `OutSegs + RetransSegs` of the sender's
//! namespace are the wire packets, and the bytes follow: each segment beyond the first of a
//! buffer repeats the headers. All segments of a bulk transfer have headers of one length
//! (timestamps are on, and a sender that receives no data sends no SACK blocks with data).

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};
use std::io::IoSlice;
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use weir_tests::agent::{Agent, Outcome};
use weir_tests::iperf::iperf;
use weir_tests::output::Count;
use weir_tests::pair::{INTERFACE, LEFT, Pair, RIGHT, RIGHT_IPV6};
use weir_tests::witness::{Link, settled, tcp_segments_out};

const BULK: &str = "300M";
const TUNNEL: &str = "weirvx";
const TUNNEL_LEFT: &str = "10.78.0.1";
const TUNNEL_RIGHT: &str = "10.78.0.2";

const ETHERNET: u64 = 14;
const IPV4_HEADER: u64 = 20;
const TCP_HEADER: u64 = 20 + 12;
/// Outer Ethernet, IPv4, UDP and VXLAN headers.
const VXLAN: u64 = ETHERNET + IPV4_HEADER + 8 + 8;

fn watch(pair: &Pair, glob: &str) -> [Agent; 2] {
    let args = ["-i", glob, "-o", "json", "--interval", "100ms"];
    [Agent::start(&pair.left, &args), Agent::start(&pair.right, &args)]
}

/// What a large buffer becomes on the wire.
fn on_the_wire(counted: Count, segments: u64, headers: u64) -> Count {
    Count { packets: segments, bytes: counted.bytes + (segments - counted.packets) * headers }
}

fn tcp(outcome: &Outcome, interface: &str, direction: &str) -> Count {
    let flows = outcome.flows(interface, direction);
    flows.filter(|flow| flow.protocol.as_deref() == Some("tcp")).map(|flow| flow.count()).sum()
}

/// The left end's egress equals `sent`, and so does the right end's ingress unless the
/// kernel dropped something in between, which TCP repairs but an observer must not hide.
fn assert_sent(left: &Outcome, right: &Outcome, wire: &Link, sent: Count) {
    left.assert_exact();
    right.assert_exact();
    assert_eq!(left.ledger(INTERFACE, "egress").seen, sent, "{wire:?}");
    let received = right.ledger(INTERFACE, "ingress").seen;
    if wire.tx_dropped == 0 {
        assert_eq!(received, sent, "{wire:?}");
    } else {
        assert!(received.packets < sent.packets, "{wire:?}");
    }
}

fn tcp_against_the_interface(receive_offload: bool) {
    let pair = Pair::new();
    for feature in ["tso", "gso"] {
        pair.offload(feature, false);
    }
    pair.offload("gro", receive_offload);
    let agents = watch(&pair, INTERFACE);
    iperf(&pair.left, &pair.right, RIGHT, BULK);
    let wire = settled(&pair.left, INTERFACE);
    let [left, right] = agents.map(Agent::stop);

    // With receive offload a veth counts where the packet arrives and its Ethernet header is off.
    let uncounted = if receive_offload { ETHERNET } else { 0 };
    let whole = |count: Count| Count { bytes: count.bytes + count.packets * uncounted, ..count };
    assert_eq!(left.ledger(INTERFACE, "egress").seen.packets, wire.tx.packets + wire.tx_dropped);
    assert_eq!(left.ledger(INTERFACE, "ingress").seen, whole(wire.rx), "the acknowledgements");
    if wire.tx_dropped == 0 {
        assert_sent(&left, &right, &wire, whole(wire.tx));
    }
}

#[test]
fn root_tcp_with_segmentation_offload_off() {
    tcp_against_the_interface(false);
}

#[test]
fn root_tcp_with_receive_offload_only() {
    tcp_against_the_interface(true);
}

#[test]
fn root_tcp_with_segmentation_offload_on() {
    let pair = Pair::new();
    for feature in ["tso", "gso", "gro"] {
        pair.offload(feature, true);
    }
    let agents = watch(&pair, INTERFACE);
    iperf(&pair.left, &pair.right, RIGHT, BULK);
    let wire = settled(&pair.left, INTERFACE);
    let segments = tcp_segments_out(&pair.left);
    let [left, right] = agents.map(Agent::stop);

    assert!(segments > 2 * wire.tx.packets, "no offload took place: {segments} segments, {wire:?}");
    if wire.tx_dropped == 0 {
        let headers = ETHERNET + IPV4_HEADER + TCP_HEADER;
        assert_sent(&left, &right, &wire, on_the_wire(wire.tx, segments, headers));
    }
    assert_eq!(left.ledger(INTERFACE, "egress").seen.packets, segments);
}

#[test]
fn root_tcp_over_ipv6_with_segmentation_offload_on() {
    let pair = Pair::with_ipv6();
    let agents = watch(&pair, INTERFACE);
    iperf(&pair.left, &pair.right, RIGHT_IPV6, BULK);
    let wire = settled(&pair.left, INTERFACE);
    let segments = [&pair.left, &pair.right].map(tcp_segments_out);
    let [left, right] = agents.map(Agent::stop);

    left.assert_exact();
    right.assert_exact();
    assert_eq!(tcp(&left, INTERFACE, "egress").packets, segments[0]);
    assert_eq!(tcp(&right, INTERFACE, "egress").packets, segments[1]);
    if wire.tx_dropped == 0 {
        assert_eq!(tcp(&right, INTERFACE, "ingress"), tcp(&left, INTERFACE, "egress"));
    }
}

fn tcp_through_a_vxlan_tunnel(offload: bool) {
    let pair = Pair::new();
    let ends = [(&pair.left, LEFT, RIGHT, TUNNEL_LEFT), (&pair.right, RIGHT, LEFT, TUNNEL_RIGHT)];
    for (end, local, remote, inner) in ends {
        end.ip(&format!(
            "link add {TUNNEL} type vxlan id 7 remote {remote} local {local} dstport 4789 dev {INTERFACE}"
        ));
        end.ip(&format!("address add {inner}/24 dev {TUNNEL}"));
        end.ip(&format!("link set {TUNNEL} up"));
        let switch = if offload { "on" } else { "off" };
        end.run("ethtool", &["-K", TUNNEL, "tso", switch, "gso", switch]);
    }
    for feature in ["tso", "gso"] {
        pair.offload(feature, offload);
    }
    // The inner neighbours get to know each other before anybody counts.
    pair.left.run("ping", &["-c", "1", TUNNEL_RIGHT]);
    settled(&pair.left, INTERFACE);
    let agents = watch(&pair, "weir*");
    let before = tcp_segments_out(&pair.left);
    iperf(&pair.left, &pair.right, TUNNEL_RIGHT, BULK);
    let wire = settled(&pair.left, INTERFACE);
    let segments = tcp_segments_out(&pair.left) - before;
    let [left, right] = agents.map(Agent::stop);

    left.assert_exact();
    right.assert_exact();
    let inside = tcp(&left, TUNNEL, "egress");
    assert_eq!(inside.packets, segments);
    let tunnelled = left.ledger(TUNNEL, "egress").seen;
    let outside = left.ledger(INTERFACE, "egress").seen;
    assert_eq!(outside, Count { bytes: tunnelled.bytes + VXLAN * tunnelled.packets, ..tunnelled });
    if wire.tx_dropped == 0 {
        assert_eq!(right.ledger(INTERFACE, "ingress").seen, outside);
        assert_eq!(tcp(&right, TUNNEL, "ingress"), inside);
    }
}

/// Each segment is seen twice: inside on the tunnel, and outside on the wire with 50 bytes
/// more. Either device may be the one that cuts the large buffer, after its hook.
#[test]
fn root_tcp_through_a_vxlan_tunnel() {
    tcp_through_a_vxlan_tunnel(false);
}

#[test]
fn root_tcp_through_a_vxlan_tunnel_with_offload() {
    tcp_through_a_vxlan_tunnel(true);
}

/// One `sendmsg` of ten datagrams (`UDP_SEGMENT`): ten wire packets in one buffer.
#[test]
fn root_udp_segmentation() {
    const SENDS: u64 = 1_000;
    const SEGMENT: u16 = 1_000;
    let pair = Pair::new();
    let agents = watch(&pair, INTERFACE);
    // A socket that nobody reads: what does not fit is dropped there, without an ICMP answer.
    let receiver = pair.right.enter(|| UdpSocket::bind((RIGHT, 9_000)).expect("bind"));
    let sender = pair.left.enter(|| UdpSocket::bind((LEFT, 9_001)).expect("bind"));
    let to = SockaddrIn::from(SocketAddrV4::new(RIGHT.parse().expect("an address"), 9_000));
    // Nine whole segments and one of a single byte.
    let payload = vec![0; 9 * usize::from(SEGMENT) + 1];
    for _ in 0..SENDS {
        let segmentation = [ControlMessage::UdpGsoSegments(&SEGMENT)];
        sendmsg(sender.as_raw_fd(), &[IoSlice::new(&payload)], &segmentation, MsgFlags::empty(), Some(&to))
            .expect("sendmsg");
    }
    drop(receiver);
    let wire = settled(&pair.left, INTERFACE);
    let [left, right] = agents.map(Agent::stop);

    let bytes = SENDS * (10 * 42 + payload.len() as u64);
    assert_sent(&left, &right, &wire, Count { packets: 10 * SENDS, bytes });
}
