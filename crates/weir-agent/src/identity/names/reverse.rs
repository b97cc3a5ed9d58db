//! Names that Weir asks for by itself, of addresses that nobody here has a name for.
//!
//! A server may take seconds to answer. So threads of their own ask, a few times a second; what waits for them is
//! bounded, and so is what is remembered.

use super::LONGEST;
use hashbrown::HashMap;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use weir_record::printable_start;
use weir_record::{Name, NameOrigin};

/// Who asks.
const THREADS: usize = 2;
/// How long each of them rests after an answer: together they ask twenty times a second at most.
const REST: Duration = Duration::from_millis(100);
/// Questions that may wait.
const WAITING: usize = 1024;
/// Answers that are remembered.
const REMEMBERED: usize = 16_384;
/// How long a name holds.
const NAMED: Duration = Duration::from_secs(3600);
/// How long it is remembered that there is none.
const NAMELESS: Duration = Duration::from_secs(600);

/// What is known of an address.
#[derive(Debug, Clone)]
enum Known {
    /// Somebody is asking.
    Asked,
    /// An answer, and until when it holds.
    Answered(Option<Arc<Name>>, Instant),
}

type Answer = (IpAddr, Option<String>);

/// Who asks, and what has been answered.
pub struct Reverse {
    questions: SyncSender<IpAddr>,
    answers: Receiver<Answer>,
    known: RefCell<HashMap<IpAddr, Known>>,
    /// In the order in which they were answered.
    order: VecDeque<IpAddr>,
    dropped: Cell<u64>,
}

impl Reverse {
    /// Starts the threads. `ask` finds the name of an address.
    ///
    /// # Errors
    /// There can be no threads.
    pub fn start(ask: fn(IpAddr) -> Option<String>) -> io::Result<Self> {
        let (questions, asked) = sync_channel(WAITING);
        let (told, answers) = sync_channel(WAITING);
        let asked = Arc::new(Mutex::new(asked));
        for _ in 0..THREADS {
            let (asked, told) = (Arc::clone(&asked), told.clone());
            std::thread::Builder::new()
                .name("weir-reverse".into())
                .spawn(move || work(&asked, &told, ask))?;
        }
        let (known, order, dropped) = (RefCell::default(), VecDeque::new(), Cell::new(0));
        Ok(Self { questions, answers, known, order, dropped })
    }

    /// The name of an address. One that nothing is known of is asked for: its name is there for later records.
    pub fn of(&self, address: IpAddr) -> Option<Arc<Name>> {
        let mut known = self.known.borrow_mut();
        let stale = match known.get(&address) {
            Some(Known::Asked) => return None,
            Some(Known::Answered(name, until)) if Instant::now() < *until => return name.clone(),
            Some(Known::Answered(name, _)) => name.clone(),
            None => None,
        };
        if !can_have_a_name(address) {
            return None;
        }
        match self.questions.try_send(address) {
            Ok(()) => _ = known.insert(address, Known::Asked),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.set(self.dropped.get() + 1)
            }
        }
        stale
    }

    /// Takes in what was answered meanwhile.
    pub fn hear(&mut self) {
        let known = self.known.get_mut();
        for (address, name) in self.answers.try_iter() {
            let until = Instant::now() + if name.is_some() { NAMED } else { NAMELESS };
            let named = |text: String| {
                Arc::new(Name { text: printable_start(&text, LONGEST), origin: NameOrigin::ReverseDns })
            };
            known.insert(address, Known::Answered(name.map(named), until));
            self.order.push_back(address);
            while self.order.len() > REMEMBERED {
                let oldest = self.order.pop_front();
                oldest.into_iter().for_each(|oldest| drop(known.remove(&oldest)));
            }
        }
    }

    /// How many addresses something is known of, or being asked.
    pub fn len(&self) -> usize {
        self.known.borrow().len()
    }

    /// Questions that there was no room for.
    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }
}

fn work(asked: &Mutex<Receiver<IpAddr>>, told: &SyncSender<Answer>, ask: fn(IpAddr) -> Option<String>) {
    loop {
        let question = asked.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(address) = question else { return };
        if told.send((address, ask(address))).is_err() {
            return;
        }
        std::thread::sleep(REST);
    }
}

/// By the host's own resolver.
pub fn by_resolver(address: IpAddr) -> Option<String> {
    dns_lookup::lookup_addr(&address).ok()
}

fn can_have_a_name(address: IpAddr) -> bool {
    let is_private_to_the_link = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !(address.is_loopback() || address.is_unspecified() || address.is_multicast() || is_private_to_the_link)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_test(address: IpAddr) -> Option<String> {
        address.is_ipv4().then(|| format!("host-{address}\x1b"))
    }

    fn wait(reverse: &mut Reverse, address: IpAddr) -> Option<Arc<Name>> {
        let deadline = Instant::now() + Duration::from_secs(5);
        while !matches!(reverse.known.borrow().get(&address), Some(Known::Answered(..))) {
            assert!(Instant::now() < deadline, "no answer");
            std::thread::sleep(Duration::from_millis(5));
            reverse.hear();
        }
        reverse.of(address)
    }

    #[test]
    fn names_are_there_for_later_records() {
        let mut reverse = Reverse::start(of_test).expect("threads");
        let (named, nameless) = ("192.0.2.1".parse().expect("one"), "2001:db8::1".parse().expect("one"));
        assert_eq!((reverse.of(named), reverse.of(nameless)), (None, None));
        let name = wait(&mut reverse, named).expect("it has one");
        assert_eq!((name.text.as_str(), name.origin), ("host-192.0.2.1\\u{1b}", NameOrigin::ReverseDns));
        assert_eq!(wait(&mut reverse, nameless), None);
        assert_eq!((reverse.len(), reverse.dropped()), (2, 0));
        assert_eq!(reverse.of(IpAddr::from([127, 0, 0, 1])), None);
        assert_eq!(reverse.len(), 2, "not asked for");
    }

    #[test]
    fn too_many_questions_are_dropped_and_counted() {
        let reverse = Reverse::start(of_test).expect("threads");
        let most = (WAITING + 100) as u32;
        for number in 0..most {
            assert_eq!(reverse.of(IpAddr::from((0x0b00_0000 + number).to_be_bytes())), None);
        }
        assert!(reverse.dropped() > 0 && reverse.len() <= WAITING + THREADS + 1, "{}", reverse.dropped());
    }
}
