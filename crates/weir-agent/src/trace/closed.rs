//! TCP's connections, as they end.

use super::heard::Heard;
use super::{AT_A_TIME, Source};
use crate::tcp::{ends, health};
use crate::{Result, SocketState};
use std::sync::Arc;
use std::time::Duration;
use weir_kernel::{TCP_ENDED, TCP_RESET_SENT, TcpLook, clock};
use weir_probes::tcp::Tcp;
use weir_record::{Closed, Happening};

const TCP: u8 = 6;

/// The TCP probe.
pub struct ClosedSource {
    probe: Tcp,
    tick: Duration,
}

impl ClosedSource {
    /// Attached.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn attach() -> Result<Self> {
        Ok(Self { probe: Tcp::attach()?, tick: clock::tick()? })
    }
}

impl Source for ClosedSource {
    fn probe(&self) -> &'static str {
        "tcp"
    }

    fn hear(&mut self, heard: &mut dyn FnMut(Heard)) -> Result<()> {
        let mut looks = Vec::new();
        self.probe.consume(AT_A_TIME, |look| looks.push(*look))?;
        let changed = |change: u32| looks.iter().filter(move |look| u32::from(look.change) == change);
        // A reset leaves at once after the end.
        let resets: Vec<_> = changed(TCP_RESET_SENT).map(|look| (look.socket, ends(look))).collect();
        for look in changed(TCP_ENDED) {
            let sent = resets.contains(&(look.socket, ends(look)));
            heard(understood(look, sent, self.tick));
        }
        Ok(())
    }

    fn lost(&self) -> Result<u64> {
        Ok(self.probe.lost()?)
    }
}

fn understood(look: &TcpLook, sent_reset: bool, tick: Duration) -> Heard {
    let (mut health, ends) = (health(look, tick), ends(look));
    health.resets_sent = sent_reset.into();
    let state = SocketState::of(TCP, look.state).as_str();
    Heard {
        time: look.time,
        netns: look.netns,
        ends: Some((TCP, [ends.local.into(), ends.remote.into()])),
        at: None,
        users: [None, None],
        happening: Happening::Closed(Closed { health: Arc::new(health), state }),
    }
}
