use super::*;
use weir_kernel::RULE_WORDS;

const ROOM: Room = Room { blocks: 4096, sets: 4096 };

fn deny(change: impl FnOnce(&mut Row)) -> Row {
    let mut row = Row {
        source: None,
        destination: None,
        first: None,
        second: None,
        network: None,
        vlan: None,
        at_points: false,
        action: Action::Deny,
    };
    change(&mut row);
    row
}

fn v4(ranges: &[Range]) -> Option<Addresses> {
    Some(Addresses { v4: ranges.to_vec(), v6: vec![], none: false })
}

/// The way that `walk()` takes.
fn walk(rules: &Compiled, root: u32, value: u128, bytes: u32) -> u32 {
    let mut block = root;
    for step in 0..bytes {
        let byte = (value >> (8 * (bytes - 1 - step)) & 0xff) as usize;
        let next = u32::from(rules.blocks[block as usize].next[byte]);
        if next & RULE_BLOCK == 0 {
            return next;
        }
        block = next & !RULE_BLOCK;
    }
    panic!("the way does not end");
}

fn rows_of(rules: &Compiled, set: u32) -> Vec<usize> {
    let set = &rules.sets.sets[set as usize];
    (0..RULE_WORDS as usize * 64).filter(|row| has_bit(set, *row)).collect()
}

#[test]
fn every_address_leads_to_the_rows_that_mean_it() {
    let rows = [
        deny(|row| row.source = v4(&[(0x0a00_0000, 0x0aff_ffff)])),
        deny(|row| row.source = v4(&[(0x0a01_0203, 0x0a01_0203), (0x0a01_0205, 0xffff_ffff)])),
        deny(|row| row.destination = v4(&[(0, 0xffff_ffff)])),
    ];
    let rules = Compiled::new(&rows, ROOM).expect("they fit");
    let of = |address: u128| {
        let pair = walk(&rules, rules.head.address4, address, 4);
        (rows_of(&rules, pair), rows_of(&rules, pair + 1))
    };
    assert_eq!(of(0x0a01_0202), (vec![0, 2], vec![0, 1, 2]));
    assert_eq!(of(0x0a01_0203), (vec![0, 1, 2], vec![0, 1, 2]));
    assert_eq!(of(0x0a01_0204), (vec![0, 2], vec![0, 1, 2]));
    assert_eq!(of(0x0b00_0000), (vec![1, 2], vec![0, 1, 2]));
    assert_eq!(of(0x0900_0000), (vec![2], vec![0, 1, 2]));
    let none = rules.head.no_address;
    assert_eq!((rows_of(&rules, none), rows_of(&rules, none + 1)), (vec![2], vec![0, 1]));
    let ipv6 = walk(&rules, rules.head.address6, 1, 16);
    assert_eq!((rows_of(&rules, ipv6), rows_of(&rules, ipv6 + 1)), (vec![2], vec![0, 1]));
}

#[test]
fn dimensions_that_no_row_looks_at_have_no_trie() {
    let rules = Compiled::new(&[deny(|row| row.network = Some(vec![(0, 5)]))], ROOM).expect("it fits");
    let RuleHead { dimensions, network, .. } = rules.head;
    assert_eq!(dimensions, RULE_NETWORK);
    assert_eq!(rows_of(&rules, walk(&rules, network, 5, 3)), [0]);
    assert!(rows_of(&rules, walk(&rules, network, 6, 3)).is_empty());
}

#[test]
fn a_point_that_is_admitted_has_the_rows_that_mean_it() {
    let rows = [deny(|row| row.at_points = true), deny(|_| {}), deny(|row| row.at_points = true)];
    let mut rules = Compiled::new(&rows, ROOM).expect("they fit");
    rules.admit(7, |row| row == 2).expect("there is room");
    assert_eq!(rows_of(&rules, rules.points[&7]), [1, 2]);
}

#[test]
fn what_does_not_fit_is_said() {
    let one = |row: usize| deny(|new| new.vlan = Some(vec![(row as u128, row as u128)]));
    let many: Vec<_> = (0..=RULE_ROWS as usize).map(one).collect();
    assert_eq!(Compiled::new(&many, ROOM).err(), Some(TooMany::Rows(1025)));
    let tight = Room { blocks: 4096, sets: 16 };
    assert_eq!(Compiled::new(&many[..100], tight).err(), Some(TooMany::Memory));
    let tight = Room { blocks: 3, sets: 4096 };
    assert_eq!(Compiled::new(&many[..1000], tight).err(), Some(TooMany::Memory));
    let sampled: Vec<_> = (2..260).map(|one_in| deny(|row| row.action = Action::Allow { one_in })).collect();
    assert_eq!(Compiled::new(&sampled, ROOM).err(), Some(TooMany::Rates(258)));
}
