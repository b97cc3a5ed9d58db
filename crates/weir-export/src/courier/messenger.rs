//! Speaks to a peer on a thread of its own: however long that takes, whoever has sent it sees to other things meanwhile.

use crate::peer::{Peer, Sent};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};
use weir_record::FlowRecord;

type Errand = Box<dyn FnOnce(&mut dyn Peer) + Send>;

/// The near end. Its errands are done one after the other; dropped, it leaves the last one to its end.
pub struct Messenger {
    errands: Sender<Errand>,
}

/// What is on its way to a peer.
pub struct Errant {
    answer: Receiver<Delivery>,
    since: Instant,
    /// Whether the spool has it, too, until it has arrived.
    pub is_spooled: bool,
}

/// What to bring.
pub struct Load {
    /// Over a new connection, and these first, which may be lost with the one before.
    pub again: Option<Vec<Vec<FlowRecord>>>,
    /// What has not been sent before.
    pub records: Vec<FlowRecord>,
}

/// What came of it.
pub struct Delivery {
    /// What was sent.
    pub records: Vec<FlowRecord>,
    /// How it went.
    pub sent: io::Result<Sent>,
    /// What was sent again before.
    pub again: Again,
    /// How long it took.
    pub time: Duration,
}

/// How many records were sent again, and how many of them were refused.
#[derive(Default)]
pub struct Again {
    pub records: u64,
    pub refused: u64,
}

impl Messenger {
    /// To this peer.
    pub fn start(mut peer: Box<dyn Peer>) -> io::Result<Self> {
        let (errands, orders) = channel::<Errand>();
        Builder::new().name("weir-peer".into()).spawn(move || {
            orders.into_iter().for_each(|errand| errand(peer.as_mut()));
        })?;
        Ok(Self { errands })
    }

    /// Sends it on its way with these.
    pub fn bring(&self, load: Load) -> Errant {
        let answer = self.ask(|peer| load.bring(peer));
        Errant { answer, since: Instant::now(), is_spooled: false }
    }

    /// What the peer says to that, once what was asked before is done.
    pub fn ask<T: Send + 'static>(
        &self,
        errand: impl FnOnce(&mut dyn Peer) -> T + Send + 'static,
    ) -> Receiver<T> {
        let (tell, told) = channel();
        // Where nobody is there any more, nobody answers.
        let _ = self.errands.send(Box::new(move |peer| drop(tell.send(errand(peer)))));
        told
    }
}

impl Errant {
    /// What came of it, if that is known by then.
    pub fn hear(&self, patience: Duration) -> Option<Delivery> {
        match self.answer.recv_timeout(patience) {
            Ok(delivery) => Some(Delivery { time: self.since.elapsed(), ..delivery }),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Delivery::of(Vec::new(), Err(gone()))),
        }
    }
}

/// Its thread has panicked.
pub fn gone() -> io::Error {
    io::Error::other("what speaks to it has ended by a mistake of ours")
}

impl Load {
    fn bring(self, peer: &mut dyn Peer) -> Delivery {
        let mut delivery = Delivery::of(self.records, Ok(Sent::default()));
        delivery.sent = delivery.send(self.again, peer);
        delivery
    }
}

impl Delivery {
    fn of(records: Vec<FlowRecord>, sent: io::Result<Sent>) -> Self {
        Self { records, sent, again: Again::default(), time: Duration::ZERO }
    }

    fn send(&mut self, again: Option<Vec<Vec<FlowRecord>>>, peer: &mut dyn Peer) -> io::Result<Sent> {
        if let Some(batches) = again {
            peer.connect()?;
            for batch in &batches {
                let sent = peer.send(batch)?;
                self.again.records += batch.len() as u64;
                self.again.refused += sent.refused;
            }
        }
        if self.records.is_empty() { Ok(Sent::default()) } else { peer.send(&self.records) }
    }
}
