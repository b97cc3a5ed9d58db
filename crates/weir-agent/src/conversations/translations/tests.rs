//! Which names are the same conversation, for how long, and at what bound.

use super::*;
use crate::conversations::samples::{icmp, tcp_between};
use proptest::prelude::*;
use weir_filter::generate::keys;

const CLIENT: [u8; 4] = [10, 1, 0, 2];
const SERVICE: [u8; 4] = [10, 96, 0, 10];
const BACKEND: [u8; 4] = [10, 2, 0, 2];
const ROUTER: [u8; 4] = [10, 2, 0, 1];
const HERE: Place = Place { netns: 0, domain: 1 };

/// A service's connection from this port.
fn tuples(port: u16) -> Tuples {
    let original = tcp_between(CLIENT, SERVICE, port, 80);
    Tuples { original, translated: tcp_between(ROUTER, BACKEND, port, 8080) }
}

fn known(all: &[Tuples]) -> Translations {
    let mut translations = Translations::new(10, Duration::from_secs(5));
    all.iter().for_each(|one| assert!(translations.learn(*one, HERE)));
    translations
}

fn reversed(flow: FlowKey) -> FlowKey {
    flow.reversed().expect("it has two directions")
}

#[test]
fn either_name_in_either_direction_is_the_original_one() {
    let one = tuples(40_000);
    let translations = known(&[one]);
    let passage = |flow: FlowKey| {
        translations.passage(&flow, HERE.domain).map(|found| (found.original, found.is_translated))
    };
    assert_eq!(passage(one.original), Some((one.original, false)));
    assert_eq!(passage(one.translated), Some((one.original, true)));
    assert_eq!(passage(reversed(one.original)), Some((reversed(one.original), false)));
    assert_eq!(passage(reversed(one.translated)), Some((reversed(one.original), true)));
    // The tag is that of the place.
    let tagged = Some((one.original.with_vlan(Some(5)), true));
    assert_eq!(passage(one.translated.with_vlan(Some(5))), tagged);
    assert_eq!(passage(tuples(40_001).translated), None);
    assert_eq!(translations.passage(&one.translated, 2), None, "others' addresses");
}

#[test]
fn a_record_says_what_is_behind_in_its_own_direction() {
    let one = tuples(40_000);
    let translations = known(&[one]);
    let number = translations.passage(&one.original, HERE.domain).expect("it is known").number;
    assert_eq!(translations.behind(number, &one.original), Some(one.translated));
    assert_eq!(translations.behind(number, &reversed(one.original)), Some(reversed(one.translated)));
    assert_eq!(translations.behind(0, &one.original), None);
}

#[test]
fn two_translations_in_a_row_are_traced_to_the_first_and_the_last_name() {
    let one = tuples(40_000);
    let last = tcp_between([192, 0, 2, 1], BACKEND, 6_000, 9_090);
    let other = Tuples { original: one.translated, translated: last };
    for order in [[one, other], [other, one]] {
        let translations = known(&order);
        for flow in [one.original, one.translated, last] {
            let passage = translations.passage(&flow, HERE.domain).expect("it is known");
            assert_eq!(passage.original, one.original);
            assert_eq!(translations.behind(passage.number, &one.original), Some(last));
        }
    }
}

/// Two that turn each other's addresses round: no end is found, and none is looked for.
#[test]
fn a_circle_is_left() {
    let one = tuples(40_000);
    let back = Tuples { original: one.translated, translated: one.original };
    let translations = known(&[one, back]);
    assert!(translations.passage(&one.original, HERE.domain).is_some());
}

#[test]
fn what_has_ended_stays_a_while_unless_it_comes_again() {
    let (one, other) = (tuples(1), tuples(2));
    let mut translations = known(&[one, other]);
    let now = Instant::now();
    translations.end(&one, HERE, now);
    translations.end(&other, HERE, now);
    assert!(!translations.learn(other, HERE), "it is known");
    translations.expire(now + Duration::from_secs(4));
    assert_eq!(translations.len(), 2);
    translations.expire(now + Duration::from_secs(5));
    assert_eq!((translations.len(), translations.evicted()), (1, 0));
    assert_eq!(translations.passage(&one.translated, HERE.domain), None);
    assert!(translations.passage(&other.translated, HERE.domain).is_some());
}

/// The client's port is used again, and another backend chosen; the end of the first one comes late.
#[test]
fn a_new_backend_takes_the_name_of_the_old_one() {
    let old = tuples(40_000);
    let new = Tuples { translated: tcp_between(ROUTER, [10, 2, 0, 3], 40_000, 8080), ..old };
    let mut translations = known(&[old, new]);
    let now = Instant::now();
    translations.end(&old, HERE, now);
    let number =
        |translations: &Translations, flow| translations.passage(&flow, HERE.domain).map(|it| it.number);
    let newest = number(&translations, new.translated);
    assert_eq!(number(&translations, old.original), newest);
    assert_eq!(translations.behind(newest.expect("known"), &old.original), Some(new.translated));
    translations.expire(now + Duration::from_secs(5));
    assert_eq!(number(&translations, old.original), newest);
    assert_eq!(number(&translations, old.translated), None);
}

#[test]
fn what_is_over_goes_first_when_there_are_too_many_then_the_oldest() {
    let mut translations = known(&[]);
    for port in 0..10 {
        translations.learn(tuples(port), HERE);
    }
    translations.end(&tuples(7), HERE, Instant::now());
    let is_known = |translations: &Translations, port| {
        translations.passage(&tuples(port).translated, HERE.domain).is_some()
    };
    translations.learn(tuples(10), HERE);
    assert!(!is_known(&translations, 7) && is_known(&translations, 0));
    translations.learn(tuples(11), HERE);
    assert!(!is_known(&translations, 0) && is_known(&translations, 1) && is_known(&translations, 11));
    assert_eq!((translations.len(), translations.evicted()), (10, 2));
}

#[test]
fn nothing_grows_with_what_comes_and_goes() {
    let mut translations = known(&[]);
    for round in 0..20_000u16 {
        let now = Instant::now();
        translations.learn(tuples(round), HERE);
        translations.end(&tuples(round), HERE, now);
        translations.expire(now + Duration::from_secs(6));
    }
    assert_eq!((translations.len(), translations.meanings.len(), translations.ended.len()), (0, 0, 0));
    assert!(translations.queue.len() <= 1024, "{}", translations.queue.len());
}

#[test]
fn of_a_namespace_only_those_stay_that_are_still_there() {
    let mut translations = known(&[tuples(1), tuples(2)]);
    let elsewhere = Place { netns: 9, ..HERE };
    translations.learn(tuples(3), elsewhere);
    let now = Instant::now();
    translations.end_others(HERE.netns, &HashSet::from_iter([tuples(2)]), now);
    translations.expire(now + Duration::from_secs(5));
    let left = [1, 2, 3].map(|port| translations.passage(&tuples(port).original, HERE.domain).is_some());
    assert_eq!(left, [false, true, true]);
}

#[test]
fn what_has_no_ports_or_no_two_ends_is_not_traced() {
    let mut translations = known(&[]);
    let same = tcp_between(CLIENT, CLIENT, 7, 7);
    for original in [icmp(8), same] {
        assert!(!translations.learn(Tuples { original, translated: tuples(1).translated }, HERE));
    }
    assert_eq!((translations.len(), translations.meanings.len()), (0, 0));
}

proptest! {
    /// Whatever the names are: both are one, each direction is the other one reversed, nothing is left behind.
    #[test]
    fn any_two_names_are_one(original in keys(), translated in keys()) {
        let tuples = Tuples { original: original.with_vlan(None), translated: translated.with_vlan(None) };
        let mut translations = Translations::new(10, Duration::ZERO);
        if original.is_canonical() == Some(true) && tuples.original.reversed() == Some(tuples.translated) {
            return Ok(());
        }
        if tuples.original != tuples.translated && translations.learn(tuples, HERE) {
            let of = |flow: FlowKey| translations.passage(&flow, HERE.domain).map(|passage| passage.original);
            if tuples.original.reversed() != Some(tuples.translated) {
                prop_assert_eq!(of(tuples.original), Some(tuples.original));
                prop_assert_eq!(of(tuples.translated), Some(tuples.original));
                prop_assert_eq!(of(reversed(tuples.translated)), tuples.original.reversed());
            }
            let now = Instant::now();
            translations.end(&tuples, HERE, now);
            translations.expire(now);
        }
        prop_assert_eq!((translations.len(), translations.meanings.len()), (0, 0));
    }
}
