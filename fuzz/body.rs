//! What the fuzz targets do with bytes. The tests of weir-dns include this file and do the same with the corpus, and
//! with what comes of changing it.

use std::net::SocketAddr;
use weir_dns::{
    Ends, Exchanges, Lookup, Message, Outcome, Place, Question, Seen, Segment, Streams, Told, Transport,
};

/// Reads the bytes as a message.
pub fn message(bytes: &[u8]) {
    let (whole, cut) = (Message::read(bytes), Message::read_cut(bytes));
    if let Ok(whole) = &whole {
        assert_eq!(Ok(whole), cut.as_ref(), "what is whole is also there if it may be cut");
    }
    let Ok(message) = cut else { return };
    assert!(message.questions.len() <= 32 && message.records.len() <= 128);
    for question in &message.questions {
        let text = question.name.to_string();
        assert!(text.len() <= 255 + '…'.len_utf8() && !text.is_empty(), "{text:?}");
        assert!(text.chars().all(|one| one.is_ascii_graphic() || one == '…'), "{text:?}");
        assert!(message.addresses(&question.name).len() <= message.records.len());
    }
}

const SERVER: ([u8; 4], u16) = ([10, 0, 0, 53], 53);
const CLIENT: [u8; 4] = [10, 0, 0, 1];
/// Questions that are remembered; few, so that some have to go.
const CAPACITY: usize = 4;
const TIMEOUT: u64 = 5_000_000_000;

/// Takes the bytes for packets between a few clients and a server: four of what kind, how long, and how much later each
/// is, then the payload.
pub fn conversation(mut bytes: &[u8]) {
    let (mut exchanges, mut streams) = (Exchanges::new(CAPACITY, TIMEOUT), Streams::new(4, 4096));
    let (mut time, mut sequence, mut asked) = (0, 0u32, Vec::new());
    let mut lookups = Lookups::default();
    while let Some((head, rest)) = bytes.split_first_chunk::<4>() {
        let [kind, port, length, later] = *head;
        let (payload, rest) = rest.split_at(rest.len().min(usize::from(length)));
        bytes = rest;
        time += u64::from(later) * 50_000_000;
        let client = SocketAddr::from((CLIENT, 1000 + u16::from(port & 3)));
        let (source, destination) =
            if kind & 1 == 0 { (client, SERVER.into()) } else { (SERVER.into(), client) };
        let seen = Seen {
            time,
            place: Place { netns: 1, index: u32::from(kind >> 1 & 1) },
            is_egress: kind & 4 != 0,
        };
        let mut hear = |transport, message: &Message| {
            if !message.is_answer {
                let ends = Ends { client: source, server: destination, transport };
                asked.extend(message.questions.iter().map(|question| (ends, question.clone())));
            }
            exchanges.hear((source, destination, transport), seen, message, &mut |told| {
                lookups.take(told, &asked);
            });
        };
        if kind & 8 == 0 {
            Message::read(payload).iter().for_each(|message| hear(Transport::Udp, message));
            continue;
        }
        let length = payload.len() + usize::from(kind >> 6) * 100;
        let flags = kind >> 4 & 2;
        let segment = Segment { seen, source, destination, sequence, flags, bytes: payload, length };
        sequence = sequence.wrapping_add(length as u32 + u32::from(flags != 0));
        streams.hear(&segment, |message, is_whole| {
            let read = if is_whole { Message::read(message) } else { Message::read_cut(message) };
            read.iter().for_each(|message| hear(Transport::Tcp, message));
        });
        assert!(exchanges.len() <= CAPACITY);
    }
    exchanges.expire(u64::MAX, &mut |told| lookups.take(told, &asked));
    // Once to tell what is left, once to forget it.
    exchanges.expire(u64::MAX, &mut |told| lookups.take(told, &asked));
    assert!(exchanges.is_empty());
    assert_eq!((lookups.answered, lookups.unanswered), (exchanges.answered(), exchanges.unanswered()));
    assert!(lookups.answered + lookups.unanswered + exchanges.evicted() <= asked.len() as u64);
}

/// What has been told.
#[derive(Default)]
struct Lookups {
    answered: u64,
    unanswered: u64,
}

impl Lookups {
    fn take(&mut self, told: Told<'_>, all: &[(Ends, Question)]) {
        match told {
            Told::Answer { asked, message, .. } => {
                assert!(message.is_answer && all.iter().any(|(_, one)| one == asked));
            }
            Told::Lookup(Lookup { ends, question, outcome, .. }) => {
                assert!(all.contains(&(ends, question)), "told of what nobody has asked");
                match outcome {
                    Outcome::Answered(_) => self.answered += 1,
                    Outcome::Unanswered => self.unanswered += 1,
                }
            }
        }
    }
}
