//! Segments that TCP sends again.

use super::heard::{Heard, ends};
use super::{AT_A_TIME, Source};
use crate::{Result, SocketState};
use weir_kernel::{RETRANSMIT_SYN, RETRANSMIT_SYN_ACK, RetransmitEvent};
use weir_probes::retransmits::Retransmits;
use weir_record::{Happening, Retransmit, Retransmitted};

/// The retransmits probe.
pub struct RetransmitSource(Retransmits);

impl RetransmitSource {
    /// Attached.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn attach() -> Result<Self> {
        Ok(Self(Retransmits::attach()?))
    }
}

impl Source for RetransmitSource {
    fn probe(&self) -> &'static str {
        "retransmits"
    }

    fn hear(&mut self, heard: &mut dyn FnMut(Heard)) -> Result<()> {
        self.0.consume(AT_A_TIME, |event| heard(understood(event)))?;
        Ok(())
    }

    fn lost(&self) -> Result<u64> {
        Ok(self.0.lost()?)
    }
}

fn understood(event: &RetransmitEvent) -> Heard {
    let socket = &event.socket;
    let retransmit = Retransmit {
        what: match event.what {
            RETRANSMIT_SYN => Retransmitted::Syn,
            RETRANSMIT_SYN_ACK => Retransmitted::SynAck,
            _ => Retransmitted::Data,
        },
        bytes: event.bytes,
        state: SocketState::of(socket.protocol, event.state as u8).as_str(),
        total: (event.total != 0).then_some(event.total),
    };
    Heard {
        time: event.time,
        netns: socket.netns,
        ends: Some((socket.protocol, ends(socket))),
        at: None,
        // Afterwards its user may be another.
        users: [
            (retransmit.what == Retransmitted::Syn && socket.owner.pid != 0).then_some(socket.owner),
            None,
        ],
        happening: Happening::Retransmit(retransmit),
    }
}
