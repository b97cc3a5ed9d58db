//! A device without Ethernet: the first byte is that of the IP header. What a program writes
//! to the tun device comes in, what is sent out of it goes out.

use std::net::UdpSocket;
use std::time::Duration;
use tun_tap::{Iface, Mode};
use weir_tests::agent::{Agent, Outcome};
use weir_tests::control;
use weir_tests::dns::{forged, question_of};
use weir_tests::frames::{IPV4, IPV6, Ipv4, Ipv6, SYN, TCP, UDP, tcp, udp};
use weir_tests::frames_ipv6::{DESTINATION_OPTIONS, Extension, chain};
use weir_tests::netns::Namespace;
use weir_tests::output::{Count, Flow};
use weir_tests::wait_for;
use weir_tests::witness::{link, settled};

const TUN: &str = "weirtun";

fn tun() -> (Namespace, Iface) {
    let namespace = Namespace::new();
    let device = namespace.enter(|| Iface::without_packet_info(TUN, Mode::Tun)).expect("tun device");
    for (parameter, value) in [("accept_ra", "0"), ("addr_gen_mode", "1"), ("disable_ipv6", "0")] {
        namespace.sysctl(&format!("net/ipv6/conf/{TUN}/{parameter}"), value);
    }
    for address in ["10.79.0.1/24", "fd79::1/64"] {
        namespace.ip(&format!("address add {address} dev {TUN}"));
    }
    namespace.ip(&format!("link set {TUN} up"));
    (namespace, device)
}

/// A datagram from the kernel out of the device, from `port` of the host.
fn send_out(namespace: &Namespace, from: &str, to: &str, port: u16, payload: &[u8]) {
    let socket = namespace.enter(|| UdpSocket::bind((from, port))).expect("bind");
    assert_eq!(socket.send_to(payload, (to, 53)).expect("out of the device"), payload.len());
}

/// The flow from a port, and there is but one.
fn from_port<'a>(outcome: &'a Outcome, direction: &str, port: u16) -> &'a Flow {
    let flows: Vec<_> = outcome.flows(TUN, direction).filter(|flow| flow.source_port == Some(port)).collect();
    assert_eq!(flows.len(), 1, "{direction}, port {port}: {flows:?}");
    flows[0]
}

#[test]
fn root_packets_without_a_link_layer() {
    let (namespace, device) = tun();
    let agent = Agent::start(&namespace, &["-i", TUN, "-o", "json"]);
    let packets = [
        (1_001, "udp", IPV4, Ipv4::default().packet(UDP, &udp(1_001, 53, b"four"))),
        (1_002, "tcp", IPV4, {
            let with_options = Ipv4 { options: vec![1; 8], ..Ipv4::default() };
            with_options.packet(TCP, &tcp(1_002, 80, SYN, &[], b""))
        }),
        (1_003, "udp", IPV6, Ipv6::default().packet(UDP, &udp(1_003, 53, b"six"))),
        (1_004, "tcp", IPV6, Ipv6::default().packet(TCP, &tcp(1_004, 80, SYN, &[1; 20], b""))),
    ];
    for (_, _, _, packet) in &packets {
        device.send(packet).expect("into the device");
    }
    send_out(&namespace, "10.79.0.1", "10.79.0.2", 2_001, b"four");
    send_out(&namespace, "fd79::1", "fd79::2", 2_002, b"six");
    settled(&namespace, TUN);
    let outcome = agent.stop();
    outcome.assert_exact();

    for (port, protocol, ethertype, packet) in packets {
        let flow = from_port(&outcome, "ingress", port);
        assert_eq!(flow.count(), Count { packets: 1, bytes: packet.len() as u64 }, "{flow:?}");
        assert_eq!((flow.protocol.as_deref(), flow.ethertype, flow.vlan), (Some(protocol), ethertype, None));
    }
    for (port, ethertype, bytes) in [(2_001, IPV4, 20 + 8 + 4), (2_002, IPV6, 40 + 8 + 3)] {
        let flow = from_port(&outcome, "egress", port);
        assert_eq!(flow.count(), Count { packets: 1, bytes }, "{flow:?}");
        assert_eq!((flow.protocol.as_deref(), flow.ethertype, flow.vlan), (Some("udp"), ethertype, None));
    }
}

/// Each question several times, since the first packet of a flow goes another way than those after it.
#[test]
fn root_dns_is_heard_without_a_link_layer() {
    let (namespace, device) = tun();
    let agent = Agent::start(&namespace, &["-i", TUN, "-o", "json"]);
    let question = question_of(&forged(&[b"web", b"example"], [10, 77, 0, 2])).expect("a question");
    for _ in 0..3 {
        for packet in [
            Ipv4::default().packet(UDP, &udp(1_001, 53, &question)),
            Ipv6::default().packet(UDP, &udp(1_002, 53, &question)),
            Ipv4::default().packet(UDP, &udp(1_003, 54, &question)),
        ] {
            device.send(&packet).expect("into the device");
        }
        send_out(&namespace, "10.79.0.1", "10.79.0.2", 2_001, &question);
    }
    settled(&namespace, TUN);
    let messages = || control::status(&agent.socket())["identity"]["names"]["dns_messages"].as_u64();
    wait_for("all are heard", Duration::from_secs(5), || (messages() >= Some(9)).then_some(()));
    assert_eq!(messages(), Some(9));
    agent.stop().assert_exact();
}

/// A packet of more than a page arrives with its end apart from its beginning. Here the UDP
/// header lies in the second part: two kilobytes of options twice are before it.
#[test]
fn root_headers_beyond_the_linear_part() {
    let (namespace, device) = tun();
    let agent = Agent::start(&namespace, &["-i", TUN, "-o", "json"]);
    let options = [(); 2].map(|()| Extension::options(DESTINATION_OPTIONS, 2_048));
    let (first, payload) = chain(&options, UDP, &udp(5_000, 53, &[0; 4_000]));
    let packet = Ipv6::default().packet(first, &payload);
    device.send(&packet).expect("into the tun device");
    settled(&namespace, TUN);
    let outcome = agent.stop();
    outcome.assert_exact();

    let flows: Vec<_> = outcome.flows(TUN, "ingress").collect();
    let told: Vec<_> =
        flows.iter().map(|flow| (flow.source_port, flow.destination_port, flow.bytes)).collect();
    assert_eq!(told, [(Some(5_000), Some(53), packet.len() as u64)], "{flows:?}");
}

/// The device itself, without an agent: both ways are counted as the tests above assume.
#[test]
fn root_a_tun_device_carries_packets_both_ways() {
    let (namespace, device) = tun();
    let before = settled(&namespace, TUN);
    let packet = Ipv4::default().packet(UDP, &udp(1, 2, b"x"));
    device.send(&packet).expect("into the device");
    send_out(&namespace, "10.79.0.1", "10.79.0.2", 2_001, b"x");
    let sent = wait_for("the packet comes out", Duration::from_secs(5), || {
        let mut packet = [0; 100];
        let length = device.recv(&mut packet).expect("out of the device");
        // The kernel greets its IPv6 groups as well.
        (packet[0] == 0x45).then(|| packet[..length].to_vec())
    });
    assert_eq!(sent[20..22], 2_001_u16.to_be_bytes());
    let after = link(&namespace, TUN);
    let received =
        Count { packets: after.rx.packets - before.rx.packets, bytes: after.rx.bytes - before.rx.bytes };
    assert_eq!(received, Count { packets: 1, bytes: packet.len() as u64 });
}
