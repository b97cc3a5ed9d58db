//! What metrics are pushed to: a thread for each that it is pushed to, which asks the agent as a scrape does.

use super::Arguments;
use crate::metrics::{self, Network, Point};
use crate::status::asked;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use weir_agent::{Answer, Instance, Request, ask};
use weir_export::{Pushed, Running, host_name};
use weir_record::PushState;

/// All of them.
pub struct Pushes {
    running: Vec<Running>,
    told: Receiver<String>,
}

impl Pushes {
    /// Starts what `--remote-write` and `--otlp-metrics` ask for.
    ///
    /// # Errors
    /// Two are of one name, or there is no thread to be had.
    pub fn start(
        arguments: &Arguments,
        instance: Option<&Instance>,
        network: Option<&Network>,
    ) -> Result<Self> {
        let (tell, told) = channel();
        let mut names = BTreeSet::new();
        if let Some(twice) = arguments.pushes().find(|push| !names.insert(&push.name)) {
            bail!(
                "metrics are pushed to two that are called {}: give one another name, with ?name=NAME",
                twice.name
            );
        }
        let mut running = Vec::new();
        for push in arguments.pushes() {
            let (tell, network) = (tell.clone(), network.cloned());
            let socket = instance.map(|instance| instance.socket().to_path_buf());
            let source = Pushed {
                instance: called(instance),
                interval: arguments.push_interval,
                page: Box::new(move || {
                    page(socket.as_deref(), network.as_ref())
                        .map_err(|error| io::Error::other(format!("{error:#}")))
                }),
            };
            running.push(push.start(source, Box::new(move |line| drop(tell.send(line))))?);
        }
        Ok(Self { running, told })
    }

    /// How they stand, now and later.
    pub fn states(&self) -> Vec<Arc<Mutex<PushState>>> {
        self.running.iter().map(Running::state).collect()
    }

    /// Lines that they have to say since the last call.
    pub fn told(&self) -> impl Iterator<Item = String> {
        self.told.try_iter()
    }

    /// Says that all series have ended; what there is to say of that.
    pub fn finish(self) -> Vec<String> {
        // All are told before one is waited for.
        let threads: Vec<_> = self.running.into_iter().map(Running::stop).collect();
        // Who has panicked has said so.
        threads.into_iter().for_each(|thread| drop(thread.join()));
        self.told.try_iter().collect()
    }
}

/// The label `instance`: the host's name, and for another agent of it than the first which one that is.
fn called(instance: Option<&Instance>) -> String {
    let host = host_name().unwrap_or_else(|| "localhost".into());
    match instance.map_or(1, Instance::number) {
        1 => host,
        number => format!("{host}#{number}"),
    }
}

fn page(socket: Option<&Path>, network: Option<&Network>) -> Result<String> {
    let socket = socket.context("the agent has no control socket, and cannot be asked")?;
    match asked::<Point>(socket, &ask(socket, Request::Status)?)? {
        Answer::Status(status) => metrics::open(*status, network),
        _ => bail!("the agent answers something else"),
    }
}
