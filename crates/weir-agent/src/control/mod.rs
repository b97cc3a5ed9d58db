//! The agent's control side: the socket it answers on, and what it is asked there.
//!
//! ```text
//! weir status ──► socket ──► server (a thread, bounded in all it does) ──► agent's own thread
//!                    ▲                                                          │
//!                    └──────────────────────── one line ◄───────────────────────┘
//! ```
//!
//! Whatever a client does or leaves undone, it only ever holds the server's thread; the agent looks
//! for requests when it wakes anyway, and answers all that ask for its state with one snapshot.

mod client;
mod flows;
mod instance;
mod protocol;
mod server;
#[cfg(test)]
mod trial;

pub use client::{Unanswered, ask, ask_flows, sockets};
pub use flows::{Flows, Mark, Wanted};
pub use instance::{Instance, Unclaimed};
pub use protocol::{Answer, PROTOCOL, Reply, Request};

use crate::{Agent, Error, Outlet, Settings, Status, reloaded};
use server::Requests;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use weir_record::PushState;

/// Reads the configuration again and has the agent follow it: what has changed, or why nothing has.
pub type Reload = Box<dyn FnMut() -> Result<Settings, String>>;

/// What a running agent is asked: over its socket, and by SIGHUP.
pub struct Control {
    desk: Option<Desk>,
    reload: Reload,
    hangup: Box<dyn FnMut() -> bool>,
    pushes: Vec<Arc<Mutex<PushState>>>,
}

/// The socket, and who asks there.
struct Desk {
    requests: Requests,
    /// Given up last: the name is this agent's until nobody can ask it any more.
    instance: Instance,
}

impl Control {
    /// Without a socket. `hangup` says whether a SIGHUP has come since it was last asked.
    pub fn new(reload: Reload, hangup: impl FnMut() -> bool + 'static) -> Self {
        Self { desk: None, reload, hangup: Box::new(hangup), pushes: Vec::new() }
    }

    /// Says in the agent's state how these pushes fare, too.
    #[must_use]
    pub fn pushing(self, pushes: Vec<Arc<Mutex<PushState>>>) -> Self {
        Self { pushes, ..self }
    }

    /// Answers on the socket of `instance`.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn listen(self, mut instance: Instance) -> crate::Result<Self> {
        let requests = Requests::serve(instance.take_listener()).map_err(Error::Control)?;
        Ok(Self { desk: Some(Desk { requests, instance }), ..self })
    }

    /// Answers what has been asked since the last call.
    pub(crate) fn attend(&mut self, agent: &mut Agent, outlet: &mut Outlet) {
        if (self.hangup)() {
            let outcome = reload(&mut self.reload, agent, outlet);
            agent.notice(outcome.unwrap_or_else(|error| error));
        }
        let Some(desk) = &mut self.desk else { return };
        let mut snapshot = None;
        for (client, request) in desk.requests.take() {
            let answer = match request {
                Request::Status => Arc::clone(snapshot.get_or_insert_with(|| {
                    let status = status(agent, outlet, &desk.instance);
                    let pushes = self.pushes.iter().map(|push| state(push)).collect();
                    Arc::new(Answer::Status(Box::new(Status { pushes, ..status })))
                })),
                Request::Flows(wanted) => {
                    let flows = Box::new(agent.flows(wanted));
                    Arc::new(Answer::Flows { flows })
                }
                Request::Reload => {
                    snapshot = None;
                    Arc::new(match reload(&mut self.reload, agent, outlet) {
                        Ok(text) => Answer::Reloaded { text },
                        Err(error) => Answer::Error { error },
                    })
                }
            };
            desk.requests.answer(client, answer);
        }
    }
}

fn reload(reload: &mut Reload, agent: &mut Agent, outlet: &mut Outlet) -> Result<String, String> {
    agent.change(reload()?, outlet).map(|changes| reloaded(&changes))
}

/// What another thread was showing when it panicked is as good as before.
fn state(push: &Mutex<PushState>) -> PushState {
    push.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn status(agent: &mut Agent, outlet: &mut Outlet, instance: &Instance) -> Status {
    let mut status = agent.status(outlet);
    status.instance = instance.number();
    status.socket = Path::to_path_buf(instance.socket());
    status
}
