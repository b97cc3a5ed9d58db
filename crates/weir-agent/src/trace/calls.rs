//! Programs, ports and connections that processes ask for.

use super::heard::{Heard, ends};
use super::{AT_A_TIME, Source};
use crate::Result;
use nix::errno::Errno;
use std::borrow::Cow;
use weir_kernel::{CALL_ACCEPT, CALL_BIND, CALL_CONNECT, CALL_EXEC, CallEvent};
use weir_probes::calls::{Call, Calls};
use weir_record::{Bind, Connect, EventKind, Happening};

/// The calls probe.
pub struct CallSource(Calls);

impl CallSource {
    /// Attached for those of `kinds` that are calls, if any.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn of(kinds: &[&'static EventKind]) -> Result<Option<Self>> {
        let calls: Vec<_> = kinds.iter().filter_map(|kind| call(kind)).collect();
        if calls.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self(Calls::attach(&calls)?)))
    }
}

fn call(kind: &EventKind) -> Option<Call> {
    match kind.name {
        "exec" => Some(Call::Exec),
        "bind" => Some(Call::Bind),
        "connect" => Some(Call::Connect),
        "accept" => Some(Call::Accept),
        _ => None,
    }
}

impl Source for CallSource {
    fn probe(&self) -> &'static str {
        "calls"
    }

    fn hear(&mut self, heard: &mut dyn FnMut(Heard)) -> Result<()> {
        self.0.consume(AT_A_TIME, |event| {
            if let Some(one) = understood(event) {
                heard(one);
            }
        })?;
        Ok(())
    }

    fn lost(&self) -> Result<u64> {
        Ok(self.0.lost()?)
    }
}

/// None of a call that a later kernel half would tell of.
fn understood(event: &CallEvent) -> Option<Heard> {
    let (socket, user) = (&event.socket, Some(event.socket.owner));
    let [local, remote] = ends(socket);
    let between = |ends| Some((socket.protocol, ends));
    let (ends, users, happening) = match event.call {
        CALL_EXEC => (None, [user, None], Happening::Exec),
        CALL_BIND => (between([local, local]), [user, None], Happening::Bind(Bind { error: error(event) })),
        CALL_CONNECT => {
            let connect = Connect { error: error(event), latency: event.latency / 1000 };
            (between([local, remote]), [user, None], Happening::Connect(connect))
        }
        CALL_ACCEPT => (between([remote, local]), [None, user], Happening::Accept),
        _ => return None,
    };
    Some(Heard { time: event.time, netns: socket.netns, ends, at: None, users, happening })
}

/// The kernel's word for why it was refused.
fn error(event: &CallEvent) -> Option<Cow<'static, str>> {
    let number = i32::try_from(event.error).ok().filter(|number| *number != 0)?;
    Some(match Errno::from_raw(number) {
        Errno::UnknownErrno => Cow::Owned(number.to_string()),
        known => Cow::Owned(format!("{known:?}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_kernel::{SocketEvent, SocketOwner};

    fn event(call: u32, error: u32) -> CallEvent {
        let words = |last: u8| [0, u64::from_ne_bytes([0, 0, 0xff, 0xff, 10, 0, 0, last])];
        let owner = SocketOwner { pid: 7, ..SocketOwner::default() };
        let ports = (40_000, 80);
        let socket = SocketEvent {
            local: words(1),
            remote: words(2),
            local_port: ports.0,
            remote_port: ports.1,
            protocol: 6,
            owner,
            ..SocketEvent::default()
        };
        CallEvent { time: 5, latency: 3_999, socket, error, call }
    }

    #[test]
    fn who_asks_is_the_source_and_who_takes_the_destination() {
        let asked = understood(&event(CALL_CONNECT, 111)).expect("it is known");
        assert_eq!(asked.ends.map(|(_, ends)| ends[1].to_string()).as_deref(), Some("10.0.0.2:80"));
        assert!(asked.users[0].is_some() && asked.users[1].is_none());
        let refused = Connect { error: Some("ECONNREFUSED".into()), latency: 3 };
        assert_eq!(asked.happening, Happening::Connect(refused));
        let taken = understood(&event(CALL_ACCEPT, 0)).expect("it is known");
        assert_eq!(taken.ends.map(|(_, ends)| ends[1].to_string()).as_deref(), Some("10.0.0.1:40000"));
        assert!(taken.users[0].is_none() && taken.users[1].is_some());
    }

    #[test]
    fn what_is_not_known_is_left_out_or_called_by_its_number() {
        assert!(understood(&event(99, 0)).is_none());
        let odd = understood(&event(CALL_BIND, 4000)).expect("it is known");
        assert_eq!(odd.happening, Happening::Bind(Bind { error: Some("4000".into()) }));
    }
}
