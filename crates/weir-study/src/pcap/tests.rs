use super::*;
use etherparse::PacketBuilder;
use proptest::prelude::*;

/// A file, in either byte order.
struct Written {
    bytes: Vec<u8>,
    big_endian: bool,
}

impl Written {
    fn new(magic: u32, big_endian: bool, link_type: u32) -> Self {
        let mut file = Self { bytes: Vec::new(), big_endian };
        file.words(&[magic]);
        let version: [u16; 2] = [2, 4];
        for part in version {
            file.bytes.extend(if big_endian { part.to_be_bytes() } else { part.to_le_bytes() });
        }
        file.words(&[0, 0, 262_144, link_type]);
        file
    }

    fn words(&mut self, words: &[u32]) {
        for word in words {
            self.bytes.extend(if self.big_endian { word.to_be_bytes() } else { word.to_le_bytes() });
        }
    }

    /// A frame of which `frame` was captured and that had `length` bytes.
    fn add(&mut self, frame: &[u8], length: u32) {
        self.words(&[7, 8, frame.len() as u32, length]);
        self.bytes.extend_from_slice(frame);
    }
}

fn udp(last: u8, port: u16, payload: usize) -> Vec<u8> {
    let builder =
        PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, last], 64).udp(5000, port);
    built(builder, payload)
}

fn udp6(port: u16, payload: usize) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([1; 6], [2; 6])
        .single_vlan(etherparse::VlanId::try_new(5).expect("a VLAN"))
        .ipv6([3; 16], [4; 16], 64)
        .udp(5000, port);
    built(builder, payload)
}

fn built(builder: etherparse::PacketBuilderStep<etherparse::UdpHeader>, payload: usize) -> Vec<u8> {
    let mut bytes = vec![0; builder.size(payload)];
    let length = builder.write_to_slice(&mut bytes, &vec![0; payload]).expect("there is room");
    bytes.truncate(length);
    bytes
}

fn packet(flow: u32, length: u16, ipv6: bool) -> Packet {
    Packet { flow, length, ipv6 }
}

fn refusal(bytes: &[u8]) -> String {
    format!("{:#}", parse(bytes).expect_err("it is refused"))
}

#[test]
fn flows_are_numbered_as_they_appear_in_either_byte_order_and_resolution() {
    for (magic, big_endian) in
        [(0xa1b2_c3d4, false), (0xa1b2_c3d4, true), (0xa1b2_3c4d, false), (0xa1b2_3c4d, true)]
    {
        // The upper bits: checksums of four bytes.
        let mut file = Written::new(magic, big_endian, 0x4400_0001);
        let mut arp = vec![0xff; 60];
        arp[12..14].copy_from_slice(&[0x08, 0x06]);
        let tcp = {
            let builder = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
            let builder = builder.tcp(5000, 53, 0, 0);
            let mut bytes = vec![0; builder.size(0)];
            builder.write_to_slice(&mut bytes, &[]).expect("there is room");
            bytes
        };
        let frames =
            [udp(2, 53, 18), arp, udp6(53, 18), udp(3, 53, 18), udp(2, 53, 100), udp(2, 54, 18), tcp];
        for frame in frames {
            file.add(&frame, frame.len() as u32);
        }
        // Captured in part, and longer than any frame on the wire.
        file.add(&udp6(53, 18)[..70], 70_000);
        let expected = [
            packet(0, 60, false),
            packet(1, 84, true),
            packet(2, 60, false),
            packet(0, 142, false),
            packet(3, 60, false),
            packet(4, 54, false),
            packet(1, 65535, true),
        ];
        assert_eq!(parse(&file.bytes[..]).expect("it is read"), expected);
    }
}

#[test]
fn fragments_of_a_packet_are_one_flow_without_ports() {
    let mut first = udp(2, 53, 64);
    first[14 + 6] |= 0x20; // more follow
    let mut later = udp(2, 54, 64);
    later[14 + 7] = 8;
    let mut file = Written::new(0xa1b2_c3d4, false, 1);
    for frame in [&first, &later] {
        file.add(frame, frame.len() as u32);
    }
    let flows: Vec<_> = parse(&file.bytes[..]).expect("it is read").iter().map(|p| p.flow).collect();
    assert_eq!(flows, [0, 0]);
}

#[test]
fn what_cannot_be_read_is_refused_in_a_line() {
    assert_eq!(refusal(b""), "it is not a pcap file");
    assert_eq!(refusal(b"<html>"), "it is not a pcap file");
    assert!(refusal(&[0x0a, 0x0d, 0x0d, 0x0a, 0, 0]).contains("editcap -F pcap"));
    assert_eq!(
        refusal(&Written::new(0xa1b2_c3d4, true, 113).bytes),
        "its link type is 113, not Ethernet (1)"
    );
    let mut file = Written::new(0xa1b2_c3d4, false, 1);
    assert_eq!(refusal(&file.bytes[..20]), "it ends within its header");
    assert_eq!(refusal(&file.bytes), "it holds no IP packet");
    file.add(&udp(2, 53, 18), 60);
    file.add(&udp(2, 53, 18), 60);
    let length = file.bytes.len();
    assert_eq!(refusal(&file.bytes[..length - 1]), "it ends within frame 2");
    assert_eq!(refusal(&file.bytes[..length - 60 - 3]), "it ends within frame 2");
    file.words(&[0, 0, 300_000, 60]);
    assert!(refusal(&file.bytes).contains("frame 3 is said to have 300000 bytes"));
}

#[test]
fn too_much_is_refused() {
    let mut flows = Flows::default();
    let key = |number: u32| Key {
        source: std::net::Ipv4Addr::from_bits(number).into(),
        destination: [10, 0, 0, 1].into(),
        protocol: 17,
        ports: (1, 2),
    };
    for number in 0..MAX_FLOWS as u32 {
        assert_eq!(flows.number(key(number)).expect("it fits"), number);
    }
    assert_eq!(flows.number(key(5)).expect("it is known"), 5);
    let refusal = flows.number(key(MAX_FLOWS as u32)).expect_err("one too many").to_string();
    assert_eq!(refusal, "it holds more than 1048576 flows");

    let mut one = Written::new(0xa1b2_c3d4, false, 1);
    one.add(&udp(2, 53, 18), 60);
    let (header, frame) = one.bytes.split_at(24);
    let many = |count: usize| {
        let frames = Endless { bytes: frame, at: 0 }.take((count * frame.len()) as u64);
        parse(BufReader::new(header.chain(frames)))
    };
    assert_eq!(many(1000).expect("it is read").len(), 1000);
    let refusal = many(MAX_PACKETS + 1).expect_err("one too many").to_string();
    assert_eq!(refusal, "it holds more than 4194304 packets");
}

/// The same bytes, again and again.
struct Endless<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        for byte in &mut *buffer {
            *byte = self.bytes[self.at];
            self.at = (self.at + 1) % self.bytes.len();
        }
        Ok(buffer.len())
    }
}

#[test]
fn a_refusal_names_the_file() {
    let refusal = format!("{:#}", read(Path::new("/no/such.pcap")).expect_err("it is not there"));
    assert!(refusal.starts_with("cannot replay /no/such.pcap: No such file"), "{refusal}");
    let refusal = format!("{:#}", read(Path::new("/dev/null")).expect_err("it is empty"));
    assert_eq!(refusal, "cannot replay /dev/null: it is not a pcap file");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, big_endian: bool) {
        let mut file = Written::new(0xa1b2_c3d4, big_endian, 1);
        let _ = parse(&bytes[..]);
        file.bytes.extend_from_slice(&bytes);
        let _ = parse(&file.bytes[..]);
    }

    #[test]
    fn no_frame_makes_it_panic(
        cut in 0usize..120,
        changes in prop::collection::vec((0usize..120, any::<u8>()), 0..8),
        ipv6: bool,
    ) {
        let mut frame = if ipv6 { udp6(53, 80) } else { udp(2, 53, 80) };
        for (at, value) in changes {
            frame[at] = value;
        }
        frame.truncate(cut);
        let mut file = Written::new(0xa1b2_c3d4, false, 1);
        file.add(&frame, 122);
        if let Ok(packets) = parse(&file.bytes[..]) {
            let ipv6 = packets[0].ipv6;
            prop_assert_eq!(packets, vec![packet(0, 122, ipv6)]);
        }
    }
}
