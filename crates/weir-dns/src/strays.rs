//! Answers that nobody asked for, by what is wrong with them.

use crate::lookup::{Ends, Transport};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};

/// How many there were. Each is counted at each interface that it comes by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Strays {
    /// Nobody there has asked that server.
    pub unasked: u64,
    /// Somebody has, and had given up.
    pub late: u64,
    /// The port was another server's.
    pub wrong_server: u64,
    /// The one who asked that server has another port.
    pub wrong_port: u64,
    /// No question to that server has this number.
    pub wrong_id: u64,
    /// The question with this number was another one.
    pub wrong_question: u64,
    /// It was answered already.
    pub repeated: u64,
    /// To a group, unasked: that is how multicast DNS tells news.
    pub announced: u64,
}

impl Strays {
    /// The numbers with their names.
    pub fn each(&self) -> [(&'static str, u64); 8] {
        [
            ("unasked", self.unasked),
            ("late", self.late),
            ("wrong_server", self.wrong_server),
            ("wrong_port", self.wrong_port),
            ("wrong_id", self.wrong_id),
            ("wrong_question", self.wrong_question),
            ("repeated", self.repeated),
            ("announced", self.announced),
        ]
    }
}

/// Who is asking whom, to tell what is wrong with an answer.
#[derive(Debug, Default)]
pub(crate) struct Askers {
    ends: HashMap<Ends, u32>,
    clients: HashMap<(SocketAddr, Transport), u32>,
    hosts: HashMap<(IpAddr, SocketAddr), u32>,
}

impl Askers {
    pub(crate) fn add(&mut self, ends: &Ends) {
        *self.ends.entry(*ends).or_default() += 1;
        *self.clients.entry((ends.client, ends.transport)).or_default() += 1;
        *self.hosts.entry((ends.client.ip(), ends.server)).or_default() += 1;
    }

    pub(crate) fn remove(&mut self, ends: &Ends) {
        remove(&mut self.ends, *ends);
        remove(&mut self.clients, (ends.client, ends.transport));
        remove(&mut self.hosts, (ends.client.ip(), ends.server));
    }

    /// The count that an answer belongs to whose number and ends are those of no question.
    pub(crate) fn cause<'s>(&self, ends: &Ends, strays: &'s mut Strays) -> &'s mut u64 {
        if ends.client.ip().is_multicast() {
            &mut strays.announced
        } else if self.ends.contains_key(ends) {
            &mut strays.wrong_id
        } else if self.clients.contains_key(&(ends.client, ends.transport)) {
            &mut strays.wrong_server
        } else if self.hosts.contains_key(&(ends.client.ip(), ends.server)) {
            &mut strays.wrong_port
        } else {
            &mut strays.unasked
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.clients.is_empty() && self.hosts.is_empty()
    }
}

fn remove<K: Eq + Hash>(counts: &mut HashMap<K, u32>, key: K) {
    if let Entry::Occupied(mut found) = counts.entry(key) {
        *found.get_mut() -= 1;
        if *found.get() == 0 {
            found.remove();
        }
    }
}
