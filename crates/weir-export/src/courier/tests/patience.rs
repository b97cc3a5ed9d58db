//! Peers that take their time, and those that are there for a moment.

use super::*;

/// What comes while a peer takes its time waits on disk, and not behind it; so does what is on its way.
#[test]
fn a_peer_that_takes_its_time_keeps_nobody() {
    let (folder, fake) = (Folder::new("courier"), Fake::default());
    (fake.world().is_up, fake.world().hangs) = (true, true);
    let mut courier = courier(&fake, Some(&path(&folder)), 1 << 30);
    for number in 0..4 {
        courier.write(&[record(number)]).expect("it waits on disk");
        settle(&mut courier);
    }
    let state = courier.state().lock().expect("nobody panics").clone();
    assert_eq!((state.spooled_records, state.delivered_records, state.failures), (4, 0, 0), "{state:?}");
    assert!(courier.is_behind(), "it is to be listened for");
    fake.world().hangs = false;
    while courier.is_behind() {
        settle(&mut courier);
    }
    assert_eq!(fake.world().got, (0..4).collect::<Vec<_>>());
    courier.write(&[record(4)]).expect("taken");
    assert_eq!((fake.world().got.len(), courier.lock().spooled_records), (5, 0));
}

/// The next agent has what was on its way to a peer that hung until the end, and what waited behind it.
#[test]
fn what_is_on_its_way_at_the_end_is_on_disk() {
    let (folder, fake) = (Folder::new("courier"), Fake::default());
    (fake.world().is_up, fake.world().hangs) = (true, true);
    let mut first = courier(&fake, Some(&path(&folder)), 1 << 30);
    first.write(&[record(0)]).expect("it waits on disk");
    first.write(&[record(1)]).expect("it waits on disk");
    first.finish().expect("it lasts");
    let other = Fake::default();
    other.world().is_up = true;
    let mut next = courier(&other, Some(&path(&folder)), 1 << 30);
    while next.is_behind() {
        settle(&mut next);
    }
    assert_eq!(other.world().got, [0, 1]);
    fake.world().hangs = false;
}

/// Where there is no room on disk either it is waited for: it is not lost as long as it may arrive.
#[test]
fn what_has_no_room_elsewhere_is_waited_for() {
    let (folder, fake) = (Folder::new("courier"), Fake::default());
    (fake.world().is_up, fake.world().hangs) = (true, true);
    let mut courier = courier(&fake, Some(&path(&folder)), 1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            sleep(2 * SLOW);
            fake.world().hangs = false;
        });
        courier.write(&[record(0)]).expect("taken");
    });
    assert_eq!((&fake.world().got[..], courier.lock().spooled_records), (&[0][..], 0));
}

/// Whoever takes connections and what is sent, and closes them, is asked less and less often.
#[test]
fn a_peer_that_closes_each_connection_is_left_alone() {
    let fake = Fake::default();
    (fake.world().is_up, fake.world().room) = (true, 100);
    let mut courier = courier(&fake, None, 0);
    let mut waits = Vec::new();
    for number in 0..9 {
        impatient(&mut courier);
        courier.write(&[record(number)]).expect("our kernel has it");
        fake.world().is_connected = false;
        courier.go_on();
        waits.push(courier.retry.expect("it is away").saturating_duration_since(Instant::now()));
    }
    assert!(waits[8] > Duration::from_secs(10), "{waits:?}");
    // A connection that has lasted is one.
    impatient(&mut courier);
    courier.write(&[record(9)]).expect("our kernel has it");
    courier.connected = Instant::now().checked_sub(2 * LASTING);
    courier.go_on();
    fake.world().is_connected = false;
    courier.go_on();
    let wait = courier.retry.expect("it is away").saturating_duration_since(Instant::now());
    assert!(wait < Duration::from_secs(1), "{wait:?}");
}

/// What a peer that does not close the connection may not have read is the next agent's.
#[test]
fn what_may_not_have_been_read_at_the_end_is_on_disk() {
    for (stays, wanted) in [(false, 0), (true, 1)] {
        let (folder, fake) = (Folder::new("courier"), Fake::default());
        (fake.world().is_up, fake.world().room, fake.world().stays) = (true, 100, stays);
        let mut courier = courier(&fake, Some(&path(&folder)), 1 << 30);
        courier.write(&[record(0)]).expect("our kernel has it");
        courier.finish().expect("it lasts");
        assert_eq!(courier.lock().spooled_records, wanted, "{stays}");
    }
}
