//! Packets made to break a parser. None may crash the agent or be missing from the ledger.

use weir_tests::agent::Agent;
use weir_tests::frames::{ARP, IPV4, IPV6, Ipv4, Ipv6, QINQ, SYN, TCP, UDP, VLAN, ethernet, tcp, udp, vlan};
use weir_tests::frames_ipv6::{DESTINATION_OPTIONS, Extension, FRAGMENT, HOP_BY_HOP, ROUTING, chain};
use weir_tests::inject::Injector;
use weir_tests::output::Count;
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::witness::{Capture, link, settled};

const ETHERNET: usize = 14;
/// The kernel throws a tagged frame shorter than this away before any TC program sees it.
const SHORTEST_TAGGED: usize = ETHERNET + 6;
const LONGEST: usize = 1_514;

/// xorshift64: the same frames every time, without a dependency.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("below a usize")
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_be_bytes()[0]).collect()
    }
}

/// Sends the frames past agents at both hooks; both must have seen each of them.
fn survives(frames: &[Vec<u8>]) {
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    let args = ["-i", INTERFACE, "-o", "json", "--interval", "100ms"];
    let agents = [&pair.left, &pair.right].map(|end| Agent::start(end, &args));
    for frame in frames {
        injector.send(frame);
    }
    let wire = settled(&pair.left, INTERFACE);
    let [left, right] = agents.map(Agent::stop);

    let sent: Count = frames.iter().map(|frame| Count { packets: 1, bytes: frame.len() as u64 }).sum();
    left.assert_exact();
    right.assert_exact();
    assert_eq!(left.ledger(INTERFACE, "egress").seen, sent);
    assert_eq!(wire.tx_dropped, 0, "the kernel kept up");
    assert_eq!(right.ledger(INTERFACE, "ingress").seen, sent);
}

fn whole_frames() -> Vec<Vec<u8>> {
    let ipv4 = Ipv4 { options: vec![1; 12], ..Ipv4::default() };
    let chained = [
        Extension::options(HOP_BY_HOP, 16),
        Extension::routing(),
        Extension::fragment(0, true, 9),
        Extension::authentication(),
    ];
    let (first, packet) = chain(&chained, TCP, &tcp(1, 2, SYN, &[1; 8], b"payload"));
    vec![
        ipv4.frame(TCP, &tcp(1, 2, SYN, &[1; 8], b"payload")),
        Ipv6::default().frame(first, &packet),
        ethernet(QINQ, &vlan(1, VLAN, &vlan(2, IPV4, &ipv4.packet(UDP, &udp(1, 2, b"payload"))))),
    ]
}

fn cut_frames() -> Vec<Vec<u8>> {
    let cut = |frame: Vec<u8>| {
        let shortest = if frame[12..14] == QINQ.to_be_bytes() { SHORTEST_TAGGED } else { ETHERNET };
        (shortest..=frame.len()).map(move |length| frame[..length].to_vec())
    };
    whole_frames().into_iter().flat_map(cut).collect()
}

fn changed_frames() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for frame in whole_frames() {
        for place in ETHERNET..frame.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = frame.clone();
                changed[place] = value;
                frames.push(changed);
            }
        }
    }
    frames
}

/// Headers without end, headers that point beyond the frame, headers of no length.
fn lying_frames() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for number in [HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS] {
        let (first, endless) = chain(&vec![Extension::options(number, 8); 150], UDP, &udp(1, 2, b"x"));
        frames.push(Ipv6::default().frame(first, &endless));
        let too_long = [&[UDP, 255][..], &[0; 40]].concat();
        frames.push(Ipv6::default().frame(number, &too_long));
    }
    let (first, nested) = chain(&vec![Extension::fragment(0, true, 1); 100], UDP, &udp(1, 2, b"x"));
    frames.push(Ipv6::default().frame(first, &nested));
    let (first, nested) = chain(&vec![Extension::authentication(); 50], UDP, &udp(1, 2, b"x"));
    frames.push(Ipv6::default().frame(first, &nested));
    frames.push(Ipv4::default().frame(first, &nested));
    frames.push(Ipv6::default().frame(FRAGMENT, &[FRAGMENT; 7]));
    // An AH whose length field makes it shorter than its own fixed part.
    frames.push(Ipv4::default().frame(first, &[first, 0, 0, 0, 0, 0, 0, 0, 0]));

    let mut tags = ethernet(IPV4, &Ipv4::default().packet(UDP, &udp(1, 2, b"x")));
    for _ in 0..300 {
        tags = ethernet(VLAN, &vlan(1, u16::from_be_bytes([tags[12], tags[13]]), &tags[ETHERNET..]));
    }
    frames.push(tags);

    // Each of the lengths that a header can state, true or not.
    for (place, limit) in [(14, 256), (16, 256), (17, 256), (20, 256), (21, 256), (46, 256)] {
        for value in 0..limit {
            let mut frame = Ipv4::default().frame(TCP, &tcp(1, 2, SYN, &[], b"payload"));
            frame[place] = u8::try_from(value).expect("a byte");
            frames.push(frame);
        }
    }
    frames
}

fn random_frames() -> Vec<Vec<u8>> {
    let mut random = Random(0x5eed_5eed_5eed_5eed);
    let types = [IPV4, IPV6, VLAN, QINQ, ARP, 0x0001];
    let whole = whole_frames();
    (0..20_000)
        .map(|number| {
            if number % 2 == 0 {
                let length = SHORTEST_TAGGED - ETHERNET + random.below(LONGEST - SHORTEST_TAGGED);
                let mut payload = random.bytes(length);
                // Most would be refused by their version alone.
                payload[0] = [0x45, 0x4f, 0x60, payload[0]][random.below(4)];
                ethernet(types[random.below(types.len())], &payload)
            } else {
                let mut frame = whole[random.below(whole.len())].clone();
                for _ in 0..=random.below(8) {
                    let place = 12 + random.below(frame.len() - 12);
                    frame[place] = random.next().to_be_bytes()[0];
                }
                frame
            }
        })
        .collect()
}

#[test]
fn root_every_frame_cut_at_every_byte() {
    survives(&cut_frames());
}

#[test]
fn root_every_byte_of_every_frame_at_its_extremes() {
    survives(&changed_frames());
}

#[test]
fn root_headers_that_loop_or_lie() {
    survives(&lying_frames());
}

#[test]
fn root_thousands_of_random_frames() {
    survives(&random_frames());
}

/// The frames themselves, without an agent: the kernel takes each of them, and each arrives
/// where TC ingress would see it.
#[test]
fn root_the_wire_carries_hostile_frames() {
    for frames in [cut_frames(), changed_frames(), lying_frames(), random_frames()] {
        let pair = Pair::new();
        let injector = Injector::open(&pair.left, INTERFACE);
        let capture = Capture::start(&pair.right, INTERFACE);
        for frame in &frames {
            injector.send(frame);
        }
        assert_eq!(capture.stop(), frames.len() as u64);
        assert_eq!(link(&pair.left, INTERFACE).rx, Count::default(), "nobody answers");
    }
}
