//! What a DNS answer says of addresses.
//!
//! Anybody may have written it: what it claims about its own length is checked before it is believed, and
//! names are made printable here.

use simple_dns::rdata::RData;
use simple_dns::{Name, Packet, PacketFlag, ResourceRecord};
use std::fmt::Write;
use std::net::IpAddr;

/// A message that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// A name that was asked for, and an address that the answer has for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub name: String,
    pub address: IpAddr,
    /// How long it holds, in seconds.
    pub ttl: u32,
}

/// The smallest record: a root name, type, class, TTL and length.
const SMALLEST_RECORD: usize = 11;
/// The same of a question.
const SMALLEST_QUESTION: usize = 5;
const HEADER: usize = 12;
/// Characters of a name that are kept. No name is longer unless much of it has to be written as numbers.
const LONGEST: usize = 255;

/// All addresses in an answer. The name that was asked for is theirs, however many aliases lie between.
pub fn read(message: &[u8]) -> Result<Vec<Answer>, Malformed> {
    if !is_plausible(message) {
        return Err(Malformed);
    }
    let packet = Packet::parse(message).map_err(|_| Malformed)?;
    if !packet.has_flags(PacketFlag::RESPONSE) {
        return Err(Malformed);
    }
    let addresses = packet.answers.iter().filter_map(|record| Some((record, address(record)?)));
    Ok(match packet.questions.first() {
        Some(question) => {
            let (name, aliases) = (presented(&question.qname), aliases(&question.qname, &packet.answers));
            let theirs = addresses.filter(|(record, _)| aliases.contains(&&record.name));
            theirs.map(|(record, address)| Answer { name: name.clone(), address, ttl: record.ttl }).collect()
        }
        // Multicast DNS answers without repeating the question.
        None => addresses
            .map(|(record, address)| Answer { name: presented(&record.name), address, ttl: record.ttl })
            .collect(),
    })
}

/// Whether all that the header promises can be in the message: the parser makes room for it at once.
fn is_plausible(message: &[u8]) -> bool {
    let count =
        |at: usize| message.get(at..at + 2).map_or(0, |two| usize::from(two[0]) << 8 | usize::from(two[1]));
    let records = count(6) + count(8) + count(10);
    message.len() >= HEADER + count(4) * SMALLEST_QUESTION + records * SMALLEST_RECORD
}

fn address(record: &ResourceRecord<'_>) -> Option<IpAddr> {
    match &record.rdata {
        RData::A(a) => Some(IpAddr::from(a.address.to_be_bytes())),
        RData::AAAA(aaaa) => Some(IpAddr::from(aaaa.address.to_be_bytes())),
        _ => None,
    }
}

/// A name, and all that it is an alias of.
fn aliases<'m>(asked: &'m Name<'m>, answers: &'m [ResourceRecord<'m>]) -> Vec<&'m Name<'m>> {
    let mut names = vec![asked];
    let target = |name: &Name<'_>| {
        answers.iter().find_map(|record| match &record.rdata {
            RData::CNAME(alias) if record.name == *name => Some(&alias.0),
            _ => None,
        })
    };
    while let Some(next) = target(names[names.len() - 1]) {
        // Aliases of each other lead nowhere.
        if names.contains(&next) {
            break;
        }
        names.push(next);
    }
    names
}

/// A name as zone files have it (RFC 4343), in small letters: resolvers play with the case.
fn presented(name: &Name<'_>) -> String {
    let mut text = String::new();
    for (place, label) in name.as_bytes().enumerate() {
        if place > 0 {
            text.push('.');
        }
        for byte in label {
            match byte {
                b'.' | b'\\' => text.extend(['\\', char::from(*byte)]),
                b'!'..=b'~' => text.push(char::from(byte.to_ascii_lowercase())),
                _ => {
                    let _ = write!(text, "\\{byte:03}");
                }
            }
        }
    }
    if text.len() > LONGEST {
        text.truncate(LONGEST);
        text.push('…');
    }
    if text.is_empty() { ".".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use simple_dns::rdata::{A, AAAA, CNAME};
    use simple_dns::{CLASS, Label, QCLASS, QTYPE, Question, TYPE};
    use std::net::{Ipv4Addr, Ipv6Addr};

    const V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

    fn name(text: &str) -> Name<'_> {
        Name::new_unchecked(text)
    }

    fn record<'a>(owner: Name<'a>, rdata: RData<'a>) -> ResourceRecord<'a> {
        ResourceRecord::new(owner, CLASS::IN, 300, rdata)
    }

    fn a(owner: &str) -> ResourceRecord<'_> {
        record(name(owner), RData::A(A { address: V4.into() }))
    }

    fn alias<'a>(owner: &'a str, of: &'a str) -> ResourceRecord<'a> {
        record(name(owner), RData::CNAME(CNAME(name(of))))
    }

    fn message(asked: Option<Name<'_>>, answers: Vec<ResourceRecord<'_>>) -> Vec<u8> {
        let mut packet = Packet::new_reply(7);
        let question = |asked| Question::new(asked, QTYPE::TYPE(TYPE::A), QCLASS::CLASS(CLASS::IN), false);
        packet.questions.extend(asked.map(question));
        packet.answers = answers;
        packet.build_bytes_vec_compressed().expect("a message")
    }

    fn told(message: &[u8]) -> Vec<(String, IpAddr)> {
        read(message).expect("it can be read").into_iter().map(|one| (one.name, one.address)).collect()
    }

    #[test]
    fn addresses_have_the_name_that_was_asked_for() {
        let aaaa = record(name("CDN.example"), RData::AAAA(AAAA { address: V6.into() }));
        let answers = vec![
            a("cdn.example"),
            alias("edge.example", "cdn.example"),
            alias("Web.example", "edge.example"),
            aaaa,
            a("other.example"),
        ];
        let found = told(&message(Some(name("web.EXAMPLE")), answers));
        assert_eq!(found, [("web.example".into(), V4.into()), ("web.example".into(), V6.into())]);
        assert_eq!(read(&message(Some(name("x")), vec![a("x")])).map(|all| all[0].ttl), Ok(300));
    }

    #[test]
    fn multicast_answers_have_no_question() {
        assert_eq!(told(&message(None, vec![a("printer.local")])), [("printer.local".into(), V4.into())]);
    }

    #[test]
    fn aliases_in_a_circle_end() {
        let circle = vec![alias("a.example", "b.example"), alias("b.example", "a.example")];
        assert_eq!(told(&message(Some(name("a.example")), circle)), []);
    }

    #[test]
    fn names_are_printable() {
        let labels = [&b"\x1b[2J"[..], b"a.b\\", b"\xff\n\"", b"caf\xc3\xa9"];
        let labels: Vec<_> = labels.iter().map(|label| Label::new_unchecked(*label)).collect();
        let hostile = Name::new_with_labels(&labels);
        let found =
            told(&message(Some(hostile.clone()), vec![record(hostile, RData::A(A { address: V4.into() }))]));
        assert_eq!(found[0].0, r#"\027[2j.a\.b\\.\255\010".caf\195\169"#);
    }

    #[test]
    fn what_cannot_be_is_malformed() {
        let good = message(Some(name("x.example")), vec![a("x.example")]);
        for length in 0..good.len() {
            assert_eq!(read(&good[..length]), Err(Malformed), "{length}");
        }
        let mut promises = good.clone();
        promises[6..8].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(read(&promises), Err(Malformed));
        let mut query = good;
        query[2] &= 0x7f;
        assert_eq!(read(&query), Err(Malformed));
    }

    proptest! {
        /// Nothing makes it panic, and what comes out is harmless.
        #[test]
        fn any_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..600), at in 0usize..40, with in any::<u8>()) {
            let question = (0..4).map(|_| Label::new_unchecked(vec![with; 63])).collect::<Vec<_>>();
            prop_assert!(presented(&Name::new_with_labels(&question)).len() <= LONGEST + 3);
            let mut changed = message(Some(name("web.example")), vec![alias("web.example", "b.example"), a("b.example")]);
            let place = at % changed.len();
            changed[place] = with;
            bytes.get_mut(2).into_iter().for_each(|flags| *flags |= 0x80);
            for answer in [read(&changed), read(&bytes)].into_iter().flatten().flatten() {
                prop_assert!(answer.name.chars().all(|one| one.is_ascii_graphic() || one == '…'), "{:?}", answer.name);
                prop_assert!(answer.name.len() <= LONGEST + 3);
            }
        }
    }
}
