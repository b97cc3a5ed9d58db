//! Observation domains (RFC 7011): which network namespaces packets can pass between.
//!
//! ```text
//! link ──► its other end, or what it lies on (IFLA_LINK, IFLA_LINK_NETNSID)
//!            └─► namespaces that are connected ──► domain ──► number
//! ```
//!
//! The kernel names the namespace of a link's other end by the number that it has for who asks,
//! and gives it one. So what lies between two watched namespaces is found without being
//! watched. A notification speaks in the numbers of the link's own namespace: it only raises the
//! question, the answer is asked for.

use super::message::{Heard, LinkMessage};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use weir_record::InterfaceKind;

/// A network namespace, by its number in the agent's own.
type Nsid = i32;
/// An interface: its namespace, and its number there.
type End = (Nsid, u32);

/// Where the kernel does not follow packets: a wire, a program, an encrypted tunnel.
const OUTSIDE: End = (-1, 0);

/// What is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// All links of a namespace.
    Links(Nsid),
    /// One of them.
    Link(Nsid, u32),
}

/// What is connected with what.
#[derive(Debug, Default)]
pub(super) struct Domains {
    /// By interface: its other end, or what it lies on.
    far: BTreeMap<End, End>,
    /// The same, by that.
    near: BTreeSet<(End, End)>,
    /// Namespaces whose links are known, or have been asked for.
    explored: BTreeSet<Nsid>,
    unexplored: BTreeSet<Nsid>,
    doubtful: BTreeSet<End>,
    /// The domain of each watched namespace.
    numbers: BTreeMap<Nsid, u32>,
    next: u32,
    changed: bool,
}

impl Domains {
    /// Forgets all but the numbers.
    pub(super) fn restart(&mut self) {
        let (numbers, next) = (std::mem::take(&mut self.numbers), self.next);
        *self = Self { numbers, next, changed: true, ..Self::default() };
    }

    /// All links of a namespace are about to be [`learn`](Self::learn)ed.
    pub(super) fn explore(&mut self, nsid: Nsid) {
        self.unexplored.remove(&nsid);
        self.explored.insert(nsid);
        self.changed = true;
    }

    /// The namespace is gone; its number may get another owner.
    pub(super) fn forget(&mut self, nsid: Nsid) {
        self.explored.remove(&nsid);
        self.unexplored.remove(&nsid);
        self.numbers.remove(&nsid);
        let ends: Vec<_> = self.far.range((nsid, 0)..=(nsid, u32::MAX)).map(|(end, _)| *end).collect();
        ends.into_iter().for_each(|end| self.set(end, None));
        self.doubt_what_leads_to((nsid, 0)..=(nsid, u32::MAX));
        self.changed = true;
    }

    /// Takes note of a notification.
    pub(super) fn hear(&mut self, nsid: Nsid, heard: &Heard) {
        match heard {
            Heard::Link(link) => {
                let end = (nsid, link.index);
                if far_end(nsid, link).is_some() || self.far.contains_key(&end) {
                    self.doubtful.insert(end);
                }
            }
            Heard::LinkGone(index) => self.lose((nsid, *index)),
            _ => {}
        }
    }

    /// Takes in the answer to a question.
    pub(super) fn learn(&mut self, nsid: Nsid, answer: &Heard) {
        if let Heard::Link(link) = answer {
            self.set((nsid, link.index), far_end(nsid, link));
        }
    }

    /// The next thing that is not known. One that gets no answer has nothing to tell.
    pub(super) fn question(&mut self) -> Option<Question> {
        if let Some(nsid) = self.unexplored.pop_first() {
            self.explore(nsid);
            return Some(Question::Links(nsid));
        }
        let (nsid, index) = self.doubtful.pop_first()?;
        Some(Question::Link(nsid, index))
    }

    /// The link is not there. What had its other end there, or lay on it, is not told when that moves
    /// to another namespace.
    pub(super) fn lose(&mut self, end: End) {
        self.set(end, None);
        self.doubtful.remove(&end);
        self.doubt_what_leads_to(end..=end);
    }

    fn doubt_what_leads_to(&mut self, ends: RangeInclusive<End>) {
        let all = (*ends.start(), (Nsid::MIN, 0))..=(*ends.end(), (Nsid::MAX, u32::MAX));
        self.doubtful.extend(self.near.range(all).map(|(_, near)| *near));
    }

    fn set(&mut self, end: End, far: Option<End>) {
        let before = match far {
            Some(far) => self.far.insert(end, far),
            None => self.far.remove(&end),
        };
        if before == far {
            return;
        }
        if let Some(before) = before {
            self.near.remove(&(before, end));
        }
        if let Some(far) = far {
            self.near.insert((far, end));
            if far.0 != OUTSIDE.0 && !self.explored.contains(&far.0) {
                self.unexplored.insert(far.0);
            }
            if self.far.get(&far).is_some_and(|back| *back != end) {
                self.doubtful.insert(far);
            }
        }
        self.changed = true;
    }

    /// The domain of a watched namespace.
    pub(super) fn number(&self, nsid: Nsid) -> u32 {
        self.numbers.get(&nsid).copied().unwrap_or(0)
    }

    /// Numbers the domains of these namespaces anew. Whether one has another number now.
    pub(super) fn settle(&mut self, watched: impl Iterator<Item = Nsid>) -> bool {
        if !std::mem::take(&mut self.changed) {
            return false;
        }
        let mut groups = Groups::default();
        self.far.iter().for_each(|(end, far)| groups.join(end.0, far.0));
        let groups: BTreeMap<_, _> = watched.map(|nsid| (nsid, groups.of(nsid))).collect();
        let mut numbers = self.kept(&groups);
        for group in groups.values() {
            numbers.entry(*group).or_insert_with(|| {
                self.next += 1;
                self.next - 1
            });
        }
        let numbers = groups.into_iter().map(|(nsid, group)| (nsid, numbers[&group])).collect();
        let before = std::mem::replace(&mut self.numbers, numbers);
        before.iter().any(|(nsid, number)| self.numbers.get(nsid).is_some_and(|now| now != number))
    }

    /// Groups that have a number already: that of most of their namespaces. No other one gets it,
    /// nor does one that comes later: conversations of the first may not be over.
    fn kept(&self, groups: &BTreeMap<Nsid, Nsid>) -> BTreeMap<Nsid, u32> {
        let mut votes: BTreeMap<(Nsid, u32), usize> = BTreeMap::new();
        for (nsid, group) in groups {
            if let Some(number) = self.numbers.get(nsid) {
                *votes.entry((*group, *number)).or_default() += 1;
            }
        }
        let mut votes: Vec<_> = votes.into_iter().collect();
        votes.sort_by_key(|((_, number), votes)| (Reverse(*votes), *number));
        let (mut kept, mut taken) = (BTreeMap::new(), BTreeSet::new());
        for ((group, number), _) in votes {
            if !kept.contains_key(&group) && taken.insert(number) {
                kept.insert(group, number);
            }
        }
        kept
    }
}

/// Where packets of a link come out again, as far as the kernel tells.
fn far_end(nsid: Nsid, link: &LinkMessage) -> Option<End> {
    match (link.link_nsid, link.link) {
        // A namespace without a number is about to go.
        (Some(far), index) => (far >= 0).then_some((far, index.unwrap_or(0))),
        (None, _) if leads_outside(link) => Some(OUTSIDE),
        (None, index) => index.map(|index| (nsid, index)),
    }
}

fn leads_outside(link: &LinkMessage) -> bool {
    match link.driver.as_deref().map(InterfaceKind::of_driver) {
        None => !link.is_loopback(),
        Some(InterfaceKind::Tun | InterfaceKind::Wireguard | InterfaceKind::Other) => true,
        Some(_) => link.has_device,
    }
}

/// Sets without common members (union-find).
#[derive(Default)]
struct Groups(BTreeMap<Nsid, Nsid>);

impl Groups {
    /// The member that stands for the group.
    fn of(&mut self, member: Nsid) -> Nsid {
        let mut at = member;
        while let Some(next) = self.0.get(&at).copied() {
            at = next;
        }
        if at != member {
            self.0.insert(member, at);
        }
        at
    }

    fn join(&mut self, one: Nsid, other: Nsid) {
        let (one, other) = (self.of(one), self.of(other));
        if one != other {
            self.0.insert(one.max(other), one.min(other));
        }
    }
}

#[cfg(test)]
mod tests;
