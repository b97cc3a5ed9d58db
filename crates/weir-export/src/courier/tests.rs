mod patience;

use super::*;
use crate::peer::Sent;
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use weir_filter::generate;
use weir_tests::folder::Folder;

/// What the far end has got, and what it does next.
#[derive(Default)]
struct World {
    got: Vec<u64>,
    /// On their way; they are gone if the connection is.
    flying: Vec<u64>,
    is_up: bool,
    /// Whether the connection is one of before it went away.
    is_connected: bool,
    room: usize,
    /// What connecting and looking say while it is away.
    away: Option<io::ErrorKind>,
    gather: Option<Gather>,
    /// Whether it takes its time for what it is sent, until this is not so any more.
    hangs: bool,
    /// Whether it does not close a connection that we close.
    stays: bool,
    /// How many records came at once.
    batches: Vec<usize>,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<World>>);

impl Fake {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("nobody panics")
    }
}

impl Peer for Fake {
    fn connect(&mut self) -> io::Result<()> {
        let mut world = self.world();
        world.is_connected = world.is_up;
        if world.is_up { Ok(()) } else { Err(world.away.unwrap_or(io::ErrorKind::ConnectionRefused).into()) }
    }

    fn send(&mut self, records: &[FlowRecord]) -> io::Result<Sent> {
        while self.world().hangs {
            sleep(Duration::from_millis(1));
        }
        let mut world = self.world();
        if !world.is_connected {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        world.batches.push(records.len());
        world.flying.extend(records.iter().map(|record| record.flow_id));
        // What is further away than the room between is there.
        let room = world.room;
        while world.flying.len() > room {
            let arrived = world.flying.remove(0);
            world.got.push(arrived);
        }
        Ok(Sent { bytes: records.len(), ..Sent::default() })
    }

    fn look(&mut self) -> io::Result<()> {
        if self.world().is_connected { Ok(()) } else { Err(io::ErrorKind::ConnectionReset.into()) }
    }

    fn leave(&mut self) -> io::Result<()> {
        let mut world = self.world();
        if std::mem::take(&mut world.is_connected) && !world.stays {
            let flying = std::mem::take(&mut world.flying);
            world.got.extend(flying);
            return Ok(());
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    fn gather(&self) -> Option<Gather> {
        self.world().gather
    }

    fn silence(&self) -> Silence {
        match self.world().room {
            0 => Silence::None,
            room => Silence::Bytes(room),
        }
    }
}

fn record(number: u64) -> FlowRecord {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut record = generate::records().new_tree(&mut runner).expect("a record").current();
    record.flow_id = number;
    record
}

fn courier(fake: &Fake, spool: Option<&Path>, capacity: u64) -> Courier {
    let spool = spool.map(|path| Spool::open(path, capacity).expect("a spool"));
    Courier::new("x".into(), Box::new(fake.clone()), None, spool, Box::new(drop)).expect("a thread")
}

/// As if the time had come to try again.
fn impatient(courier: &mut Courier) {
    courier.retry = None;
}

fn settle(courier: &mut Courier) {
    courier.settle().expect("it lasts");
    courier.go_on();
}

fn path(folder: &Folder) -> PathBuf {
    folder.path("spool").into()
}

#[derive(Debug, Clone)]
enum Step {
    Write(u8),
    Settle,
    Up,
    /// With what was on its way.
    Down,
    /// Of the agent, with a peer that closes what we close, or one that hangs and is killed later.
    Restart(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1_u8..5).prop_map(Step::Write),
        3 => Just(Step::Settle),
        2 => Just(Step::Up),
        1 => Just(Step::Down),
        1 => any::<bool>().prop_map(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    /// However the peer comes and goes, and however often the agent is started anew: each record arrives, and without
    /// repeats they are in order.
    #[test]
    fn each_arrives(
        steps in steps(),
        room in prop_oneof![Just(0_usize), 1_usize..20],
        bytes in prop::option::of(1_u64..4000),
    ) {
        let folder = Folder::new("courier");
        let fake = Fake::default();
        fake.world().room = room;
        fake.world().gather = bytes.map(|bytes| Gather { bytes, every: Duration::ZERO });
        let mut courier = courier(&fake, Some(&path(&folder)), 1 << 30);
        let mut next = 0;
        for step in steps {
            impatient(&mut courier);
            match step {
                Step::Write(count) => {
                    let records: Vec<_> = (next..next + u64::from(count)).map(record).collect();
                    next += u64::from(count);
                    prop_assert!(courier.write(&records).is_ok());
                }
                Step::Settle => settle(&mut courier),
                Step::Up => fake.world().is_up = true,
                Step::Down => {
                    let mut world = fake.world();
                    (world.is_up, world.is_connected) = (false, false);
                    world.flying.clear();
                }
                Step::Restart(stays) => {
                    fake.world().stays = stays;
                    courier.finish().expect("it lasts");
                    fake.world().flying.clear();
                    drop(courier);
                    courier = self::courier(&fake, Some(&path(&folder)), 1 << 30);
                }
            }
        }
        fake.world().is_up = true;
        for _ in 0..200 {
            impatient(&mut courier);
            settle(&mut courier);
        }
        let mut world = fake.world();
        let flying = std::mem::take(&mut world.flying);
        world.got.extend(flying);
        let mut once = Vec::new();
        for number in &world.got {
            if !once.contains(number) {
                once.push(*number);
            }
        }
        prop_assert_eq!(&once, &(0..next).collect::<Vec<_>>());
        if room == 0 {
            prop_assert_eq!(once.len(), world.got.len());
        }
    }
}

#[test]
fn without_room_it_is_lost_and_said() {
    let (folder, fake) = (Folder::new("courier"), Fake::default());
    let mut courier = courier(&fake, Some(&path(&folder)), 10_000);
    let mut lost = 0;
    for number in 0..50 {
        if let Err(error) = courier.write(&[record(number)]) {
            lost += 1;
            assert!(error.to_string().contains("the spool of x is full"), "{error}");
        }
    }
    let state = courier.state().lock().expect("nobody panics").clone();
    assert!(lost > 0 && state.spooled_records == 50 - lost, "{lost} lost, {state:?}");
    assert_eq!(state.condition, PeerCondition::Away);
    fake.world().is_up = true;
    while courier.spool.as_ref().is_some_and(|spool| !spool.is_empty()) {
        impatient(&mut courier);
        settle(&mut courier);
    }
    assert_eq!(fake.world().got.len() as u64, 50 - lost);
    let state = courier.state().lock().expect("nobody panics").clone();
    assert_eq!((state.condition, state.error), (PeerCondition::Connected, None));
}

#[test]
fn without_a_spool_too() {
    let fake = Fake::default();
    let mut courier = courier(&fake, None, 0);
    assert!(courier.write(&[record(1)]).is_err());
    fake.world().is_up = true;
    impatient(&mut courier);
    courier.write(&[record(2)]).expect("taken");
    assert_eq!(fake.world().got, [2]);
}

#[test]
fn a_peer_that_comes_and_goes_is_told_of_seldom() {
    let fake = Fake::default();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let tell = Box::new(move |line| tell.lock().expect("nobody panics").push(line));
    let mut courier = Courier::new("x".into(), Box::new(fake.clone()), None, None, tell).expect("a thread");
    for round in 0..20 {
        fake.world().is_up = round % 2 == 1;
        impatient(&mut courier);
        let _ = courier.write(&[record(round)]);
    }
    let told = told.lock().expect("nobody panics");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].contains("what it should have is lost") && told[1].contains("takes records again"),
        "{told:?}"
    );
}

/// A connection that was reset, and a peer that closes the next one before it has read anything.
#[test]
fn an_end_in_order_says_nothing_of_the_connection_before() {
    let fake = Fake::default();
    (fake.world().room, fake.world().is_up) = (100, true);
    let mut courier = courier(&fake, None, 0);
    courier.write(&[record(1)]).expect("taken");
    std::thread::sleep(READ + Duration::from_millis(50));
    courier.go_on();
    let mut world = fake.world();
    (world.is_up, world.is_connected, world.away) = (false, false, Some(io::ErrorKind::UnexpectedEof));
    world.flying.clear();
    drop(world);
    for _ in 0..2 {
        courier.go_on();
        impatient(&mut courier);
    }
    fake.world().is_up = true;
    courier.write(&[record(2)]).expect("taken");
    assert_eq!(fake.world().flying, [1, 2]);
}

/// More than its rate has room for waits, in order; the peer is not away for that.
#[test]
fn what_is_beyond_the_rate_waits() {
    let folder = Folder::new("rate");
    let fake = Fake::default();
    fake.world().is_up = true;
    let rate: Option<Rate> = Some("10/s".parse().expect("a rate"));
    let mut limited = courier(&fake, Some(&path(&folder)), 1 << 30).at_most(rate);
    let batch = |from: u64, to: u64| (from..to).map(record).collect::<Vec<_>>();
    // It may be lent as much as a batch has.
    limited.write(&batch(0, 5000)).expect("taken");
    limited.write(&batch(5000, 5007)).expect("it waits");
    settle(&mut limited);
    assert_eq!(fake.world().got.len(), 5000);
    assert!(!limited.is_behind());
    let state = limited.lock().clone();
    assert!(state.held_back && state.spooled_records == 7 && state.condition == PeerCondition::Connected);
    // As if the time had passed.
    let mut limited = limited.at_most(rate);
    settle(&mut limited);
    assert_eq!(fake.world().got, (0..5007).collect::<Vec<_>>());
    assert!(!limited.lock().held_back);
}

#[test]
fn what_is_beyond_the_rate_is_lost_without_a_spool() {
    let fake = Fake::default();
    fake.world().is_up = true;
    let mut limited = courier(&fake, None, 0).at_most(Some("1/s".parse().expect("a rate")));
    let batch: Vec<_> = (0..5000).map(record).collect();
    limited.write(&batch).expect("taken");
    let lost = limited.write(&batch[..1]).expect_err("there is no room");
    assert_eq!(lost.to_string(), "it has had as much as its rate allows");
}

/// A peer that wants much at once gets it when there is so much, or at the end; without a spool it gets what comes.
#[test]
fn what_is_collected_leaves_together() {
    let (folder, fake) = (Folder::new("courier"), Fake::default());
    let day = Duration::from_secs(24 * 3600);
    (fake.world().is_up, fake.world().gather) = (true, Some(Gather { bytes: 1 << 20, every: day }));
    let mut courier = courier(&fake, Some(&path(&folder)), 1 << 30);
    for number in 0..10 {
        courier.write(&[record(number)]).expect("it waits on disk");
        settle(&mut courier);
        assert!(!courier.is_behind());
    }
    assert_eq!((fake.world().batches.len(), courier.lock().spooled_records), (0, 10));
    courier.finish().expect("it lasts");
    assert_eq!((&fake.world().batches[..], courier.lock().spooled_records), (&[10][..], 0));
    let mut courier = self::courier(&fake, None, 0);
    courier.write(&[record(10)]).expect("taken");
    assert_eq!(fake.world().batches, [10, 1]);
}
