use super::*;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// An ethertype for experiments (IEEE 802): nothing else on the loopback interface has it.
const OURS: [u8; 2] = [0x88, 0xb5];
const LENGTHS: [usize; 4] = [14, 60, 777, 1514];

fn loopback() -> u32 {
    interface_index(c"lo").expect("there is a loopback interface")
}

/// Frame `number`, whose every byte follows from it.
fn frame(number: u32) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..LENGTHS[number as usize % 4]).map(|at| (at as u32 + number) as u8).collect();
    frame[..12].copy_from_slice(&[0; 12]);
    frame[..4].copy_from_slice(&number.to_be_bytes());
    frame[12..14].copy_from_slice(&OURS);
    frame
}

fn send(ring: &mut TxRing, numbers: std::ops::Range<u32>) {
    let (mut next, mut sent) = (numbers.start, 0);
    while sent < numbers.len() {
        let fill = |slot: &mut [u8]| {
            let frame = frame(next);
            slot[..frame.len()].copy_from_slice(&frame);
            next += 1;
            frame.len()
        };
        sent += ring.send(numbers.len() - sent, fill).expect("it is sent");
    }
}

/// How often each frame of ours has come, until `count` have or none comes any more.
fn receive(ring: &mut RxRing, count: usize) -> BTreeMap<Vec<u8>, usize> {
    let mut seen = BTreeMap::new();
    let start = Instant::now();
    while seen.values().sum::<usize>() < count && start.elapsed() < Duration::from_secs(5) {
        ring.wait(Duration::from_millis(100));
        ring.consume(|packet| {
            if packet.get(12..14) == Some(&OURS) {
                *seen.entry(packet.to_vec()).or_insert(0) += 1;
            }
        })
        .expect("it is read");
    }
    seen
}

#[test]
fn root_what_is_sent_arrives_byte_by_byte() {
    let mut rx = RxRing::incoming(loopback()).expect("root");
    let mut tx = TxRing::new(loopback(), 1514, 300).expect("root");
    assert!(tx.frames() >= 300, "{}", tx.frames());
    // Around the ring more than once, and not in whole turns.
    let count = 3 * tx.frames() as u32 + 7;
    send(&mut tx, 0..count);
    let seen = receive(&mut rx, count as usize);
    let expected: BTreeMap<_, _> = (0..count).map(|number| (frame(number), 1)).collect();
    assert_eq!(seen.len(), expected.len());
    assert!(seen == expected, "other bytes, or a frame twice");
    let statistics = rx.statistics().expect("they are read");
    assert!(statistics.packets >= u64::from(count) && statistics.drops == 0, "{statistics:?}");
    assert!(rx.statistics().expect("they are read").packets < u64::from(count), "read once, they begin anew");
}

#[test]
fn root_a_ring_that_nobody_reads_counts_its_drops() {
    let mut rx = RxRing::open(loopback(), 2, true).expect("root");
    let mut tx = TxRing::new(loopback(), 1514, 64).expect("root");
    let count = 8192;
    send(&mut tx, 0..count);
    let mut read = 0;
    // What is in the ring by now, and no block that is filled again meanwhile: nobody sends any more.
    std::thread::sleep(Duration::from_millis(50));
    while let packets @ 1.. = rx.consume(|_| ()).expect("it is read") {
        read += packets as u64;
    }
    let statistics = rx.statistics().expect("they are read");
    assert!(statistics.packets >= u64::from(count), "{statistics:?}");
    assert!(statistics.drops > 0 && statistics.freezes > 0, "{statistics:?}");
    assert_eq!(statistics.packets - statistics.drops, read, "{statistics:?}");
}

#[test]
fn root_a_frame_that_is_refused_is_counted_and_the_ring_goes_on() {
    let mut rx = RxRing::incoming(loopback()).expect("root");
    let mut tx = TxRing::new(loopback(), 1514, 64).expect("root");
    send(&mut tx, 0..10);
    let mut lengths = [60, 5, 60].into_iter();
    let mut number = 10;
    let error = tx
        .send(3, |slot| {
            let frame = frame(number * 4 + 1);
            number += 1;
            slot[..60].copy_from_slice(&frame[..60]);
            lengths.next().unwrap_or(60)
        })
        .expect_err("5 bytes are no frame");
    assert!(error.to_string().contains("refuses a frame of 5 bytes"), "{error}");
    assert_eq!(tx.refused(), 1);
    let error = tx.send(1, |slot| slot.len() + 1).expect_err("it is longer than its slice");
    assert!(error.to_string().contains("1515 bytes"), "{error}");
    send(&mut tx, 100..200);
    let seen = receive(&mut rx, 111);
    let expected: BTreeMap<_, _> = (0..10).chain([41]).chain(100..200).map(|n| (frame(n), 1)).collect();
    assert!(seen == expected, "{} frames", seen.len());
}

#[test]
fn root_outgoing_copies_are_seen_unless_ignored() {
    // A frame of an ordinary socket passes twice over the loopback interface: out and in.
    let (mut both, mut incoming) =
        (RxRing::new(loopback()).expect("root"), RxRing::incoming(loopback()).expect("root"));
    let socket = PacketSocket::new().expect("root");
    socket.bind(loopback(), 0).expect("it is there");
    let sent = frame(1);
    // SAFETY: a slice that outlives the call.
    let result = unsafe { libc::send(socket.0.as_raw_fd(), sent.as_ptr().cast(), sent.len(), 0) };
    assert_eq!(result, sent.len() as isize);
    assert_eq!(receive(&mut both, 2), BTreeMap::from([(sent.clone(), 2)]));
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(receive(&mut incoming, 1), BTreeMap::from([(sent, 1)]));
}

#[test]
fn root_what_cannot_be_is_said() {
    let error = TxRing::new(0x0fff_ffff, 60, 1).expect_err("no such interface");
    assert!(error.to_string().contains("interface 268435455"), "{error}");
    assert!(RxRing::new(0x0fff_ffff).is_err());
    let error = TxRing::new(loopback(), 1 << 20, 1).expect_err("beyond its MTU");
    assert!(error.to_string().contains("MTU"), "{error}");
    assert!(interface_index(c"no-such-one").is_err());
}
