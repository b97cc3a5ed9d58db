//! The table, told of sockets one after the other.

use super::*;
use std::net::Ipv4Addr;
use weir_kernel::{SOCKET_LISTENS, SOCKET_USED};

const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const REMOTE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

fn words(address: Ipv4Addr) -> [u64; 2] {
    let bytes = address.to_ipv6_mapped().octets();
    let half = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    [half(0), half(8)]
}

fn event(socket: u64, change: u32, local: (Ipv4Addr, u16), remote: (Ipv4Addr, u16)) -> SocketEvent {
    SocketEvent {
        socket,
        local: words(local.0),
        remote: words(remote.0),
        local_port: local.1,
        remote_port: remote.1,
        protocol: 6,
        change: change as u8,
        ..SocketEvent::default()
    }
}

fn process(pid: u32) -> Arc<Process> {
    Arc::new(Process { pid, ..Process::default() })
}

fn connected() -> Ends {
    Ends { protocol: 6, local: (LOCAL.into(), 80), remote: Some((REMOTE.into(), 4000)) }
}

fn pid(sockets: &SocketTable, ends: &Ends, netns: u32) -> Option<u32> {
    sockets.user(ends, netns).map(|process| process.pid)
}

#[test]
fn who_used_it_last_has_it() {
    let mut sockets = SocketTable::new(10, Duration::ZERO);
    let now = Instant::now();
    let used = event(1, SOCKET_USED, (LOCAL, 80), (REMOTE, 4000));
    sockets.learn(&used, 0, process(7), now);
    assert_eq!(pid(&sockets, &connected(), 0), Some(7));
    sockets.learn(&used, 0, process(8), now);
    assert_eq!((pid(&sockets, &connected(), 0), sockets.len()), (Some(8), 1));
    assert_eq!(pid(&sockets, &Ends { remote: None, ..connected() }, 0), None);
}

#[test]
fn what_is_closed_stays_a_while() {
    let mut sockets = SocketTable::new(10, Duration::from_secs(2));
    let now = Instant::now();
    sockets.learn(&event(1, SOCKET_CLOSED, (LOCAL, 80), (REMOTE, 4000)), 0, process(7), now);
    sockets.expire(now + Duration::from_secs(1));
    assert_eq!(pid(&sockets, &connected(), 0), Some(7));
    sockets.expire(now + Duration::from_secs(2));
    assert_eq!((pid(&sockets, &connected(), 0), sockets.len(), sockets.evicted()), (None, 0, 0));
}

#[test]
fn one_that_has_taken_the_place_of_a_closed_one_stays() {
    let mut sockets = SocketTable::new(10, Duration::from_secs(2));
    let now = Instant::now();
    sockets.learn(&event(1, SOCKET_CLOSED, (LOCAL, 80), (REMOTE, 4000)), 0, process(7), now);
    sockets.learn(&event(1, SOCKET_USED, (LOCAL, 80), (REMOTE, 4000)), 0, process(8), now);
    sockets.expire(now + Duration::from_secs(3));
    assert_eq!(pid(&sockets, &connected(), 0), Some(8));
}

#[test]
fn another_one_with_the_ends_of_a_closed_one_takes_its_place() {
    let mut sockets = SocketTable::new(10, Duration::from_secs(2));
    let now = Instant::now();
    let told = |socket, change| event(socket, change, (LOCAL, 80), (REMOTE, 4000));
    for socket in 1..=3 {
        sockets.learn(&told(socket, SOCKET_USED), 0, process(socket as u32), now);
        sockets.learn(&told(socket, SOCKET_CLOSED), 0, process(socket as u32), now);
    }
    sockets.learn(&told(9, SOCKET_CLOSED), 5, process(9), now);
    assert_eq!((pid(&sockets, &connected(), 0), sockets.len()), (Some(3), 2), "one in each namespace");
    sockets.learn(&told(2, SOCKET_CLOSED), 0, process(2), now);
    assert_eq!(pid(&sockets, &connected(), 0), Some(3), "what was left of the second is read late");
    // The end of the fourth was not heard of.
    for socket in 4..=6 {
        sockets.learn(&told(socket, SOCKET_USED), 0, process(socket as u32), now);
        sockets.learn(&told(3, SOCKET_CLOSED), 0, process(3), now);
    }
    sockets.learn(&told(6, SOCKET_CLOSED), 0, process(6), now);
    assert_eq!(
        (pid(&sockets, &connected(), 0), sockets.len()),
        (Some(6), 4),
        "the fourth has the place of the third"
    );
}

#[test]
fn the_oldest_goes_when_there_are_too_many_and_is_counted() {
    let mut sockets = SocketTable::new(2, Duration::ZERO);
    for socket in 1..=3 {
        let used = event(socket, SOCKET_USED, (LOCAL, 80), (REMOTE, 4000 + socket as u16 - 1));
        sockets.learn(&used, 0, process(socket as u32), Instant::now());
    }
    assert_eq!((sockets.len(), sockets.evicted()), (2, 1));
    assert_eq!(pid(&sockets, &connected(), 0), None);
}

#[test]
fn closed_ones_go_before_one_that_is_open() {
    let mut sockets = SocketTable::new(10, Duration::from_secs(15));
    let now = Instant::now();
    sockets.learn(&event(1, SOCKET_USED, (LOCAL, 80), (REMOTE, 4000)), 0, process(7), now);
    for socket in 2..=1000 {
        for change in [SOCKET_USED, SOCKET_CLOSED] {
            let told = event(socket, change, (LOCAL, 80), (REMOTE, 4000 + socket as u16));
            sockets.learn(&told, 0, process(8), now);
        }
    }
    assert_eq!((pid(&sockets, &connected(), 0), sockets.len()), (Some(7), 10));
    assert_eq!(sockets.evicted(), 990);
    sockets.expire(now + Duration::from_secs(15));
    assert_eq!(sockets.len(), 1);
}

/// The kernel gives out a place in memory again.
#[test]
fn a_socket_where_an_earlier_one_was_has_an_end_too() {
    let mut sockets = SocketTable::new(10, Duration::from_secs(2));
    let now = Instant::now();
    let told = |socket, change| event(socket, change, (LOCAL, 80), (REMOTE, 4000));
    // The second takes the first's place, its end is not heard of, and the third lies where the first was.
    for (socket, change) in [(1, SOCKET_CLOSED), (2, SOCKET_USED), (1, SOCKET_USED), (1, SOCKET_CLOSED)] {
        sockets.learn(&told(socket, change), 0, process(socket as u32), now);
    }
    sockets.expire(now + Duration::from_secs(2));
    assert_eq!((pid(&sockets, &connected(), 0), sockets.len()), (Some(2), 1));
}

/// One socket's first use is understood after what came later.
#[test]
fn what_was_found_takes_nothing_away_from_what_came_later() {
    let mut sockets = SocketTable::new(10, Duration::from_secs(2));
    let now = Instant::now();
    let mut learn = |socket, life, change, user| {
        let told = SocketEvent { life, ..event(socket, change, (LOCAL, 80), (REMOTE, 4000)) };
        sockets.learn(&told, 0, process(user), now);
        pid(&sockets, &connected(), 0).zip(Some(sockets.len()))
    };
    // Another process uses it by then.
    assert_eq!(learn(1, 1, SOCKET_USED, 2), Some((2, 1)));
    assert_eq!(learn(1, 1, SOCKET_FOUND, 1), Some((2, 1)));
    // It is over by then, and somebody has read what was left of it.
    assert_eq!(learn(1, 1, SOCKET_CLOSED, 2), Some((2, 1)));
    assert_eq!(learn(1, 0, SOCKET_CLOSED, 3), Some((3, 1)));
    assert_eq!(learn(1, 1, SOCKET_FOUND, 1), Some((3, 1)));
    // Its place is another one's by then.
    assert_eq!(learn(2, 1, SOCKET_CLOSED, 4), Some((4, 1)));
    assert_eq!(learn(1, 1, SOCKET_FOUND, 1), Some((4, 1)));
    // Nor does an earlier one that lay there.
    assert_eq!(learn(2, 5, SOCKET_USED, 4), Some((4, 1)));
    assert_eq!(learn(2, 3, SOCKET_CLOSED, 1), Some((4, 1)));
    assert_eq!(learn(2, 5, SOCKET_CLOSED, 4), Some((4, 1)));
    // Of one that lies there later only the end may be told.
    assert_eq!(learn(1, 3, SOCKET_CLOSED, 5), Some((5, 1)));
    assert_eq!(learn(1, 5, SOCKET_FOUND, 6), Some((6, 1)));
    sockets.expire(now + Duration::from_secs(2));
    assert_eq!((pid(&sockets, &connected(), 0), sockets.len()), (Some(6), 1));
}

#[test]
fn who_listens_stays_longest() {
    let mut sockets = SocketTable::new(4, Duration::from_secs(15));
    let now = Instant::now();
    let listens = event(1, SOCKET_LISTENS, (LOCAL, 80), (Ipv4Addr::UNSPECIFIED, 0));
    sockets.learn(&listens, 0, process(1), now);
    for socket in 2..=100 {
        sockets.learn(&event(socket, SOCKET_USED, (LOCAL, 80), (REMOTE, socket as u16)), 0, process(1), now);
    }
    assert_eq!(pid(&sockets, &Ends { remote: None, ..connected() }, 0), Some(1));
    assert_eq!((sockets.len(), sockets.evicted()), (4, 96));
}

#[test]
fn what_has_no_end_is_forgotten_when_nobody_uses_it() {
    let mut sockets = SocketTable::new(10, Duration::ZERO);
    let now = Instant::now();
    let datagrams = |socket| SocketEvent {
        protocol: 17,
        ..event(socket, SOCKET_USED, (LOCAL, 80), (REMOTE, 4000 + socket as u16))
    };
    sockets.learn(&datagrams(1), 0, process(1), now);
    sockets.learn(&datagrams(2), 0, process(1), now);
    sockets.learn(&event(3, SOCKET_USED, (LOCAL, 80), (REMOTE, 4000)), 0, process(1), now);
    let later = now + UNUSED;
    sockets.learn(&datagrams(2), 0, process(1), later);
    sockets.expire(later);
    assert_eq!(sockets.len(), 3);
    sockets.expire(later + Duration::from_millis(1));
    let ends = |socket| super::ends(&datagrams(socket));
    let left = [connected(), ends(1), ends(2)].map(|ends| pid(&sockets, &ends, 0));
    assert_eq!((left, sockets.len()), ([Some(1), None, Some(1)], 2));
}

#[test]
fn the_own_namespace_goes_first_and_contested_ends_are_nobodys() {
    let mut sockets = SocketTable::new(10, Duration::ZERO);
    let used = |socket| event(socket, SOCKET_USED, (LOCAL, 80), (REMOTE, 4000));
    sockets.learn(&used(1), 5, process(1), Instant::now());
    assert_eq!(pid(&sockets, &connected(), 0), Some(1), "seen on the host");
    sockets.learn(&used(2), 6, process(2), Instant::now());
    assert_eq!(pid(&sockets, &connected(), 0), None);
    assert_eq!(pid(&sockets, &connected(), 6), Some(2));
    let any = (Ipv4Addr::UNSPECIFIED, 53);
    let listens = event(3, SOCKET_LISTENS, any, (Ipv4Addr::UNSPECIFIED, 0));
    sockets.learn(&listens, 5, process(3), Instant::now());
    let ends = Ends { protocol: 6, local: (any.0.into(), 53), remote: None };
    assert_eq!((pid(&sockets, &ends, 0), pid(&sockets, &ends, 5)), (None, Some(3)));
}
