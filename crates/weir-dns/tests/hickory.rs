//! Messages as hickory-proto writes and reads them.

use hickory_proto::op::{Edns, Message as Theirs, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, TXT};
use hickory_proto::rr::{DNSClass, Name as TheirName, RData, Record as TheirRecord, RecordType};
use proptest::prelude::*;
use weir_dns::{Data, Malformed, Message, Name};

/// Labels of any bytes.
fn name() -> impl Strategy<Value = TheirName> {
    let label = prop_oneof![
        4 => prop::collection::vec(prop_oneof![Just(b'a'), Just(b'B'), Just(b'-'), Just(b'7')], 1..8),
        1 => prop::collection::vec(any::<u8>(), 1..=63),
    ];
    prop::collection::vec(label, 0..4)
        .prop_filter_map("too long", |labels| TheirName::from_labels(labels).ok())
}

fn data() -> impl Strategy<Value = RData> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|bytes| RData::A(A(bytes.into()))),
        any::<[u8; 16]>().prop_map(|bytes| RData::AAAA(AAAA(bytes.into()))),
        name().prop_map(|name| RData::CNAME(CNAME(name))),
        (any::<u16>(), name()).prop_map(|(preference, name)| RData::MX(MX::new(preference, name))),
        "[a-z]{0,40}".prop_map(|text| RData::TXT(TXT::new(vec![text]))),
    ]
}

fn record() -> impl Strategy<Value = TheirRecord> {
    // Clear of the bit that makes it negative.
    (name(), 0u32..1 << 31, data()).prop_map(|(owner, ttl, data)| TheirRecord::from_rdata(owner, ttl, data))
}

fn message() -> impl Strategy<Value = Theirs> {
    let kind = prop_oneof![Just(MessageType::Query), Just(MessageType::Response)];
    let records = || prop::collection::vec(record(), 0..6);
    // Types that nobody has heard of, too, but for those that are no types of data.
    let asked = (name(), prop_oneof![Just(1u16), Just(28), Just(65), 1000u16..30_000]);
    let code = prop_oneof![0u16..11, 16u16..24];
    (any::<u16>(), kind, any::<bool>(), code, asked, records(), records(), records()).prop_map(
        |(id, kind, truncated, code, (name, wanted), answers, authorities, additionals)| {
            let mut message = Theirs::new(id, kind, OpCode::Query);
            message.metadata.truncation = truncated;
            message.metadata.response_code = ResponseCode::from((code >> 4) as u8, (code & 0x0f) as u8);
            message.add_query(Query::query(name, RecordType::from(wanted)));
            message.add_answers(answers).add_authorities(authorities).add_additionals(additionals);
            if code >= 16 {
                message.set_edns(Edns::new());
            }
            message
        },
    )
}

/// As labels in small letters.
fn labels(name: &TheirName) -> Vec<Vec<u8>> {
    name.iter().map(<[u8]>::to_ascii_lowercase).collect()
}

fn ours(name: &Name) -> Vec<Vec<u8>> {
    name.labels().map(<[u8]>::to_vec).collect()
}

/// What both must say of a message.
fn agree(message: &Message, theirs: &Theirs) {
    let told = &theirs.metadata;
    assert_eq!(message.id, told.id);
    assert_eq!(message.is_answer, told.message_type == MessageType::Response);
    assert_eq!(message.is_truncated, told.truncation);
    for (question, query) in message.questions.iter().zip(&theirs.queries) {
        assert_eq!(ours(&question.name), labels(query.name()));
        assert_eq!(question.kind, u16::from(query.query_type()));
    }
    // What belongs to a message as a whole they do not count among its records.
    let of_data = |kind: u16| ![41, 250].contains(&kind);
    let records =
        message.records.iter().filter(|one| !matches!(one.data, Data::Other(kind) if !of_data(kind)));
    for (record, theirs) in records.zip(&theirs.answers) {
        assert_eq!(ours(&record.owner), labels(&theirs.name));
        match (&record.data, &theirs.data) {
            (Data::Address(address), RData::A(a)) => assert_eq!(*address, a.0),
            (Data::Address(address), RData::AAAA(aaaa)) => assert_eq!(*address, aaaa.0),
            (Data::Alias(alias), RData::CNAME(cname)) => assert_eq!(ours(alias), labels(&cname.0)),
            (Data::Other(_), data) => {
                let is_address = matches!(data, RData::A(_) | RData::AAAA(_));
                assert!(!is_address || theirs.dns_class != DNSClass::IN, "{theirs:?}");
            }
            (ours, theirs) => panic!("{ours:?} and {theirs:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn what_they_write_is_read(theirs in message()) {
        let bytes = theirs.to_vec().expect("it can be written");
        let message = Message::read(&bytes).expect("it can be read");
        agree(&message, &theirs);
        prop_assert_eq!(message.code, u16::from(theirs.metadata.response_code));
        prop_assert_eq!((message.questions.len(), message.records.len()), (1, theirs.answers.len()));
        for (record, theirs) in message.records.iter().zip(&theirs.answers) {
            prop_assert_eq!(record.ttl, theirs.ttl);
        }
        // Cut anywhere, it is no whole message; what there is of it is as it was.
        let length = bytes.len() * 2 / 3;
        prop_assert_eq!(Message::read(&bytes[..length]), Err(Malformed));
        if let Ok(cut) = Message::read_cut(&bytes[..length]) {
            prop_assert_eq!(&cut.questions, &message.questions);
            prop_assert_eq!(&cut.records[..], &message.records[..cut.records.len()]);
        }
    }

    #[test]
    fn what_both_read_is_the_same(theirs in message(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = theirs.to_vec().expect("it can be written");
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let (Ok(message), Ok(theirs)) = (Message::read(&bytes), Theirs::from_vec(&bytes)) {
            agree(&message, &theirs);
        }
    }
}
