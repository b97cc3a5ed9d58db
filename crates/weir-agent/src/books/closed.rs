//! Accounts of interfaces that are gone: kept until exit, in bounded memory; and one with those of interfaces that have
//! come back.

use std::collections::VecDeque;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::Arc;
use weir_record::{Account, AccountIdentity, Interface, InterfaceKind};

/// Accounts that are kept apart; of older ones the sum is kept. About 300 bytes each.
const APART: usize = 1024;
/// The name of that sum, which no interface can have.
const SUM: &str = "(gone before)";

#[derive(Debug, Default)]
pub(super) struct Closed {
    apart: BTreeMap<AccountIdentity, Account>,
    /// In the order in which they were first closed.
    order: VecDeque<AccountIdentity>,
    sums: Vec<Account>,
}

impl Closed {
    pub(super) fn add(&mut self, account: Account) {
        let identity = account.identity();
        match self.apart.get_mut(&identity) {
            Some(known) => *known += &account,
            None => {
                self.order.push_back(identity.clone());
                self.apart.insert(identity, account);
            }
        }
        if self.order.len() > APART
            && let Some(oldest) = self.order.pop_front().and_then(|oldest| self.apart.remove(&oldest))
        {
            self.sum_up(&oldest);
        }
    }

    fn sum_up(&mut self, account: &Account) {
        let same = |sum: &&mut Account| (sum.direction, sum.layer) == (account.direction, account.layer);
        if let Some(sum) = self.sums.iter_mut().find(same) {
            *sum += account;
            return;
        }
        let (name, netns, kind) = (SUM.to_string(), "".into(), InterfaceKind::Other);
        let interface = Interface { name, index: 0, netns, own_netns: true, kind };
        self.sums.push(Account { interface: Arc::new(interface), ..account.clone() });
    }

    pub(super) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.sums.iter().chain(self.apart.values())
    }
}

/// Of each observation point one account, with the interface of the last one: what comes back under its name goes on
/// where it was.
pub(super) fn merged<'a>(accounts: impl Iterator<Item = &'a Account>) -> impl Iterator<Item = Account> {
    let mut merged = BTreeMap::<AccountIdentity, Account>::new();
    for account in accounts {
        match merged.entry(account.identity()) {
            Entry::Vacant(place) => drop(place.insert(account.clone())),
            Entry::Occupied(mut known) => *known.get_mut() += account,
        }
    }
    merged.into_values()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_record::{Cause, Count, Direction, Layer};

    fn account(name: String, index: u32, direction: Direction) -> Account {
        let (netns, kind) = ("blue".into(), InterfaceKind::Veth);
        let interface = Interface { name, index, netns, own_netns: false, kind };
        let mut account = Account::new(Arc::new(interface), direction, Layer::Outer);
        account.seen = Count { packets: 3, bytes: 300 };
        account.exported = Count { packets: 2, bytes: 200 };
        account.lost.insert(Cause::SinkFailed, Count { packets: 1, bytes: 100 });
        account
    }

    #[test]
    fn the_sum_is_right_and_balances_however_many_there_are() {
        let mut closed = Closed::default();
        let many = 4 * APART as u32;
        for number in 0..many {
            closed.add(account(format!("veth{number}"), number, Direction::Ingress));
            closed.add(account(format!("veth{number}"), number, Direction::Egress));
        }
        let packets: u64 = closed.accounts().map(|account| account.seen.packets).sum();
        assert_eq!(packets, u64::from(many) * 2 * 3);
        assert!(closed.accounts().all(Account::is_balanced));
        assert_eq!(closed.accounts().count(), APART + 2);
    }

    #[test]
    fn one_that_is_there_again_has_one_account_with_what_it_had_before() {
        let named = |name: &str, index| account(name.into(), index, Direction::Egress);
        let mut unbalanced = named("a", 4);
        unbalanced.seen.packets += 80;
        let accounts = [named("a", 1), named("b", 2), named("a", 3), unbalanced];
        let all: Vec<_> = merged(accounts.iter()).collect();
        let [a, b] = &all[..] else { panic!("{all:?}") };
        assert_eq!((a.seen.packets, a.exported.packets, a.is_balanced()), (89, 6, false));
        assert_eq!((a.lost[&Cause::SinkFailed].bytes, a.interface.index), (300, 4));
        assert_eq!((b.seen.packets, b.is_balanced()), (3, true));
    }

    #[test]
    fn one_that_comes_again_under_its_name_has_one_account() {
        let mut closed = Closed::default();
        for index in 0..5 {
            closed.add(account("veth0".into(), index, Direction::Egress));
        }
        let all: Vec<_> = closed.accounts().collect();
        assert_eq!((all.len(), all[0].seen.packets, all[0].interface.index), (1, 15, 4));
        assert!(all[0].is_balanced());
    }
}
