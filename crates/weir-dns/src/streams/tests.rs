use super::*;
use crate::lookup::Place;
use proptest::prelude::*;

const SEEN: Seen = Seen { time: 0, place: Place { netns: 1, index: 2 }, is_egress: false };

fn segment(sequence: u32, flags: u8, bytes: &[u8], length: usize) -> Segment<'_> {
    let (source, destination) = (([10, 0, 0, 1], 1000).into(), ([10, 0, 0, 2], 53).into());
    Segment { seen: SEEN, source, destination, sequence, flags, bytes, length }
}

fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
    messages
        .iter()
        .flat_map(|message| [&(message.len() as u16).to_be_bytes()[..], message].concat())
        .collect()
}

/// What a stream of these segments tells.
fn told(segments: &[Segment<'_>]) -> (Vec<(Vec<u8>, bool)>, Unfollowed) {
    let (mut streams, mut all) = (Streams::new(4, 1 << 20), Vec::new());
    for segment in segments {
        streams.hear(segment, |message, is_whole| all.push((message.to_vec(), is_whole)));
    }
    (all, streams.unfollowed())
}

#[test]
fn a_stream_is_followed_from_its_beginning_or_from_a_message() {
    let bytes = framed(&[b"abc".to_vec()]);
    let expected = (vec![(b"abc".to_vec(), true)], Unfollowed::default());
    assert_eq!(told(&[segment(9, SYN, b"", 0), segment(10, 0, &bytes, 5)]), expected);
    assert_eq!(told(&[segment(10, 0, &bytes, 5)]), expected);
    let (nothing, unfollowed) = told(&[segment(10, 0, b"bc", 2), segment(12, 0, b"xx", 2)]);
    assert_eq!((nothing, unfollowed.begun), (vec![], 2));
}

#[test]
fn what_is_sent_again_counts_once() {
    let bytes = framed(&[b"abc".to_vec(), b"de".to_vec()]);
    let segments = [
        segment(u32::MAX, SYN, b"", 0),
        segment(0, 0, &bytes[..4], 4),
        segment(0, 0, &bytes, 9),
        segment(0, 0, &bytes, 9),
    ];
    assert_eq!(told(&segments).0, [(b"abc".to_vec(), true), (b"de".to_vec(), true)]);
}

#[test]
fn behind_a_gap_the_next_message_is_found() {
    let bytes = framed(&[b"abc".to_vec()]);
    let segments = [
        segment(0, SYN, b"", 0),
        segment(1, 0, b"\0\x09abc", 5),
        segment(20, 0, &bytes, 5),
        segment(25, 0, &bytes, 5),
    ];
    let (all, unfollowed) = told(&segments);
    assert_eq!(all, [(b"abc".to_vec(), true), (b"abc".to_vec(), true)]);
    assert_eq!(unfollowed, Unfollowed { gaps: 1, ..Unfollowed::default() });
}

#[test]
fn what_was_not_copied_is_a_hole() {
    // Nine bytes of twelve, the last three in the next segment.
    let next = [b"jkl".to_vec(), framed(&[b"de".to_vec()])].concat();
    let segments =
        [segment(0, SYN, b"", 0), segment(1, 0, b"\0\x0cabcdef", 11), segment(12, 0, &next, next.len())];
    assert_eq!(told(&segments).0, [(b"abcdef".to_vec(), false), (b"de".to_vec(), true)]);
    // Another message may begin in what is missing.
    let segments = [segment(0, SYN, b"", 0), segment(1, 0, b"\0\x06abc", 50), segment(51, 0, b"xxx", 3)];
    let (all, unfollowed) = told(&segments);
    assert_eq!((all, unfollowed.begun), (vec![(b"abc".to_vec(), false)], 1));
}

#[test]
fn streams_and_bytes_are_bounded() {
    let mut streams = Streams::new(4, 100);
    for port in 0..1000 {
        let one = Segment { source: ([10, 0, 0, 1], port).into(), ..segment(0, SYN, b"", 0) };
        streams.hear(&one, |_, _| ());
        streams.hear(&Segment { sequence: 1, flags: 0, bytes: &[0xff; 30], length: 30, ..one }, |_, _| ());
        assert!(streams.all.len() <= 4 && streams.bytes <= 100 && streams.queue.len() <= 9);
    }
    assert_eq!(streams.unfollowed().evicted, 997);
    // Those that end leave no trace.
    let mut streams = Streams::new(4, 100);
    for port in 0..1000 {
        let one = Segment { source: ([10, 0, 0, 1], port).into(), ..segment(0, SYN, b"", 0) };
        streams.hear(&one, |_, _| ());
        streams.hear(&Segment { sequence: 1, flags: FIN, bytes: b"\0\x09abc", length: 5, ..one }, |_, _| ());
    }
    assert_eq!((streams.all.len(), streams.bytes, streams.unfollowed().evicted), (0, 0, 0));
    assert!(streams.queue.len() <= 9);
}

proptest! {
    /// However messages are cut into segments, they come out whole and in order.
    #[test]
    fn messages_come_out_as_they_went_in(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        start in any::<u32>(),
    ) {
        let bytes = framed(&messages);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let mut segments = vec![segment(start, SYN, b"", 0)];
        for two in cuts.windows(2) {
            let part = &bytes[two[0]..two[1]];
            segments.push(segment(start.wrapping_add(1 + two[0] as u32), 0, part, part.len()));
        }
        let expected: Vec<_> = messages.into_iter().map(|message| (message, true)).collect();
        prop_assert_eq!(told(&segments), (expected, Unfollowed::default()));
    }
}
