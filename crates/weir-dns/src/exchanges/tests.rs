use super::*;
use crate::lookup::{Place, Reply};
use std::net::IpAddr;

const MS: u64 = 1_000_000;
const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 1], 4000);
const SERVER: ([u8; 4], u16) = ([10, 0, 0, 53], 53);
/// An interface, and the way out of the host across it.
const OUT: (u32, bool) = (2, true);
/// The same, in.
const IN: (u32, bool) = (2, false);

/// What there is in a message: its number, and the name that is asked for.
type Said<'s> = (u16, &'s str);

fn question((id, name): Said<'_>) -> Message {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend(b"\x01\0\0\x01\0\0\0\0\0\0");
    bytes.push(name.len() as u8);
    bytes.extend(name.bytes());
    bytes.extend(b"\0\0\x01\0\x01");
    Message::read(&bytes).expect("a question")
}

fn answer((id, name): Said<'_>) -> Message {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend(b"\x81\x80\0\x01\0\x01\0\0\0\0");
    bytes.push(name.len() as u8);
    bytes.extend(name.bytes());
    bytes.extend(b"\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\x01\x02\x03");
    Message::read(&bytes).expect("an answer")
}

/// Listens, and keeps what it is told.
struct Listener {
    exchanges: Exchanges,
    lookups: Vec<Lookup>,
    answers: usize,
}

impl Listener {
    fn new() -> Self {
        Self { exchanges: Exchanges::new(100, 5_000 * MS), lookups: Vec::new(), answers: 0 }
    }

    fn pass(
        &mut self,
        ends: (([u8; 4], u16), ([u8; 4], u16)),
        (ms, way): (u64, (u32, bool)),
        message: &Message,
    ) {
        let Self { exchanges, lookups, answers } = self;
        let seen = Seen { time: ms * MS, place: Place { netns: 1, index: way.0 }, is_egress: way.1 };
        exchanges.hear(
            (ends.0.into(), ends.1.into(), Transport::Udp),
            seen,
            message,
            &mut |told| match told {
                Told::Answer { .. } => *answers += 1,
                Told::Lookup(lookup) => lookups.push(lookup),
            },
        );
    }

    fn ask(&mut self, ms: u64, way: (u32, bool), said: Said<'_>) {
        self.pass((CLIENT, SERVER), (ms, way), &question(said));
    }

    fn reply(&mut self, ms: u64, way: (u32, bool), said: Said<'_>) {
        self.pass((SERVER, CLIENT), (ms, way), &answer(said));
    }

    fn wait(&mut self, ms: u64) {
        let lookups = &mut self.lookups;
        self.exchanges.expire(ms * MS, &mut |told| {
            if let Told::Lookup(lookup) = told {
                lookups.push(lookup);
            }
        });
    }

    /// Name, retries and latency in milliseconds of each; nothing for what nobody has answered.
    fn told(&self) -> Vec<(String, u32, Option<Option<u64>>)> {
        let latency = |lookup: &Lookup| match &lookup.outcome {
            Outcome::Answered(Reply { latency, .. }) => Some(latency.map(|latency| latency / MS)),
            Outcome::Unanswered => None,
        };
        self.lookups.iter().map(|one| (one.question.name.to_string(), one.retries, latency(one))).collect()
    }
}

#[test]
fn a_question_and_its_answer_are_one_lookup() {
    let mut listener = Listener::new();
    listener.ask(1000, OUT, (7, "web"));
    listener.reply(1012, IN, (7, "WEB"));
    assert_eq!(listener.told(), [("web".into(), 0, Some(Some(12)))]);
    let [Lookup { ends, outcome: Outcome::Answered(reply), .. }] = &listener.lookups[..] else { panic!() };
    assert_eq!((ends.client, ends.server), (CLIENT.into(), SERVER.into()));
    assert_eq!((reply.code, reply.records.len(), listener.answers), (0, 1, 1));
    listener.wait(60_000);
    assert!(listener.exchanges.is_empty() && listener.exchanges.askers.is_empty());
    assert_eq!(listener.exchanges.strays(), Strays::default());
}

/// From a container through its veth and out of the host: what the container waited for counts.
#[test]
fn an_exchange_that_crosses_several_interfaces_is_one_lookup() {
    let mut listener = Listener::new();
    listener.ask(1000, (5, false), (7, "web"));
    listener.ask(1001, (2, true), (7, "web"));
    listener.reply(1011, (2, false), (7, "web"));
    assert!(listener.lookups.is_empty() && listener.answers == 1);
    listener.reply(1012, (5, true), (7, "web"));
    assert_eq!(listener.told(), [("web".into(), 0, Some(Some(12)))]);
    // Loopback sees each twice.
    let mut listener = Listener::new();
    for way in [(1, true), (1, false)] {
        listener.ask(1000, way, (7, "web"));
    }
    for way in [(1, true), (1, false)] {
        listener.reply(1003, way, (7, "web"));
    }
    assert_eq!(listener.told(), [("web".into(), 0, Some(Some(3)))]);
    assert_eq!(listener.exchanges.strays(), Strays::default());
}

#[test]
fn an_answer_that_comes_another_way_is_told_a_moment_later() {
    let mut listener = Listener::new();
    listener.ask(1000, (5, false), (7, "web"));
    listener.ask(1001, (2, true), (7, "web"));
    listener.reply(1011, (2, false), (7, "web"));
    listener.wait(1200);
    assert_eq!(listener.told(), [("web".into(), 0, Some(Some(10)))]);
    let mut listener = Listener::new();
    listener.ask(1000, (2, true), (7, "web"));
    listener.reply(1011, (3, false), (7, "web"));
    listener.wait(1200);
    assert_eq!(listener.told(), [("web".into(), 0, Some(None))]);
}

#[test]
fn retries_are_counted_and_silence_is_told() {
    let mut listener = Listener::new();
    for ms in [1000, 3000, 5000] {
        listener.ask(ms, OUT, (7, "web"));
    }
    listener.reply(5010, IN, (7, "web"));
    listener.ask(6000, OUT, (8, "gone"));
    listener.wait(10_999);
    assert_eq!(listener.told(), [("web".into(), 2, Some(Some(4010)))]);
    listener.wait(11_000);
    assert_eq!(listener.told()[1], ("gone".into(), 0, None));
    listener.reply(12_000, IN, (8, "gone"));
    assert_eq!(listener.exchanges.strays(), Strays { late: 1, ..Strays::default() });
    assert_eq!((listener.exchanges.answered(), listener.exchanges.unanswered()), (1, 1));
}

#[test]
fn the_same_number_may_be_used_again() {
    let mut listener = Listener::new();
    for ms in [1000, 1100] {
        listener.ask(ms, OUT, (7, "web"));
        listener.reply(ms + 5, IN, (7, "web"));
    }
    // Two questions under one number at a time.
    listener.ask(1200, OUT, (7, "a"));
    listener.ask(1201, OUT, (7, "b"));
    listener.reply(1210, IN, (7, "b"));
    listener.reply(1211, IN, (7, "a"));
    let names: Vec<_> = listener.told().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["web", "web", "b", "a"]);
    assert_eq!(listener.exchanges.strays(), Strays::default());
}

#[test]
fn answers_to_no_question_are_counted_by_what_is_wrong() {
    let mut listener = Listener::new();
    listener.reply(900, IN, (7, "web"));
    listener.ask(1000, OUT, (7, "web"));
    listener.reply(1001, IN, (8, "web"));
    listener.reply(1002, IN, (7, "evil"));
    listener.pass((([10, 0, 0, 66], 53), CLIENT), (1003, IN), &answer((7, "web")));
    listener.pass((SERVER, (CLIENT.0, 4001)), (1004, IN), &answer((7, "web")));
    assert_eq!((listener.answers, listener.lookups.len()), (0, 0));
    listener.reply(1005, IN, (7, "web"));
    listener.reply(1006, IN, (7, "web"));
    let expected = Strays {
        unasked: 1,
        wrong_id: 1,
        wrong_question: 1,
        wrong_server: 1,
        wrong_port: 1,
        repeated: 1,
        ..Strays::default()
    };
    assert_eq!(listener.exchanges.strays(), expected);
    assert_eq!(listener.told(), [("web".into(), 0, Some(Some(5)))]);
}

/// Whoever knows it answers to all, and does not repeat the question.
#[test]
fn a_group_is_asked_and_one_of_it_answers() {
    const GROUP: ([u8; 4], u16) = ([224, 0, 0, 251], 5353);
    const PRINTER: ([u8; 4], u16) = ([10, 0, 0, 9], 5353);
    let (asker, said) = ((CLIENT.0, 5353), (0, "printer"));
    let news = Message { questions: Default::default(), ..answer(said) };
    let mut listener = Listener::new();
    listener.pass((PRINTER, GROUP), (1000, IN), &news);
    assert_eq!((listener.answers, listener.exchanges.strays().announced), (0, 1));
    listener.pass((asker, GROUP), (2000, OUT), &question(said));
    listener.pass((PRINTER, GROUP), (2030, IN), &news);
    assert_eq!(listener.told(), [("printer".into(), 0, Some(Some(30)))]);
    let [lookup] = &listener.lookups[..] else { panic!() };
    assert_eq!(lookup.ends.server.ip(), IpAddr::from(GROUP.0));
}

#[test]
fn what_is_remembered_is_bounded_and_the_loss_counted() {
    let mut listener = Listener::new();
    for id in 0..1000 {
        listener.ask(1000, OUT, (id, "web"));
        assert!(listener.exchanges.len() <= 100);
    }
    assert_eq!(listener.exchanges.evicted(), 900);
    listener.wait(6000);
    assert_eq!(listener.lookups.len(), 100);
    listener.wait(60_000);
    assert!(listener.exchanges.all.is_empty() && listener.exchanges.askers.is_empty());
}
