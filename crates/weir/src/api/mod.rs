//! The HTTP API of the agent: the questions of the command line, in the same words.
//!
//! The agent's own thread takes no part in it: what is asked is looked up in the directory and over the control socket,
//! as `weir flows` and `weir sql` do it, by threads of the server.

mod diff;
mod flows;
mod index;
mod live;
mod metrics;
mod page;
mod question;
mod schemas;
#[cfg(feature = "sql")]
mod sql;
mod state;
mod sums;

use crate::history::{Asker, Sources};
use crate::metrics::Network;
use crate::run::{Arguments, Listen};
use anyhow::{Context, Result};
use nix::unistd::geteuid;
use serde_json::json;
use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weir_agent::{Instance, Request as Question, ask, owner};
use weir_server::{Access, Asks, Endpoint, Load, Media, Method, Problem, Reply, Server, Token, Who};

/// The first agent's port; the second one has the next, and so on.
const PORT: u16 = 7979;

/// Whom to ask.
#[derive(Clone, Default)]
pub struct Place {
    /// Where this agent keeps records.
    pub data_dir: Option<PathBuf>,
    /// Where it is reached itself.
    pub socket: Option<PathBuf>,
    /// What it sums of the network.
    pub network: Option<Network>,
}

impl Place {
    /// What there is at this moment, for whoever waits for `reply`.
    fn sources(&self, reply: &Reply) -> Result<Sources, Problem> {
        let watch = reply.watch();
        let asker = Asker::elsewhere(move || watch.is_unwanted());
        Sources::of_agent(self.data_dir.as_deref(), self.socket.as_deref(), asker)
            .map_err(|error| Problem::not_now(format!("{error:#}")))
    }

    /// What the agent says of its state, on a line; and where it was asked.
    fn status(&self) -> Result<(&Path, String), Problem> {
        let Some(socket) = &self.socket else {
            return Err(Problem::not_now("the agent has no control socket, and cannot be asked"));
        };
        let line = ask(socket, Question::Status).map_err(|error| Problem::not_now(error.to_string()))?;
        Ok((socket, line))
    }

    /// The agent itself, without what it keeps.
    fn agent(&self, reply: &Reply) -> Result<Sources, Problem> {
        Self { data_dir: None, ..self.clone() }.sources(reply)
    }
}

/// What came of opening it.
#[derive(Default)]
pub struct OpenedApi {
    pub server: Option<Server>,
    /// What it wants to be told, to say it to Prometheus.
    pub network: Option<Network>,
    pub remark: Option<String>,
}

/// Serves, where that is wanted. Nobody asked for the usual place by name: where it cannot be had, the agent says so and
/// runs without.
///
/// # Errors
/// It was asked for, and cannot be had; or the token cannot be read.
pub fn open(
    arguments: &Arguments,
    instance: Option<&Instance>,
    data_dir: Option<PathBuf>,
) -> Result<OpenedApi> {
    let number = instance.map_or(1, Instance::number);
    let address = match arguments.listen {
        Some(Listen::Nowhere) => return Ok(OpenedApi { network: pushed(arguments), ..OpenedApi::default() }),
        Some(Listen::At(address)) => address,
        None => usual(number),
    };
    let access = access(arguments)?;
    let is_closed = access.token.is_none() && !address.ip().is_loopback();
    let network = arguments.network();
    let socket = instance.map(|instance| instance.socket().to_path_buf());
    let place = Place { data_dir, socket, network: network.clone() };
    match Server::listen(address, endpoints(place, arguments.query_memory), access, arguments.query_timeout) {
        Ok(server) => {
            let url = format!("http://{}", server.address());
            let remark = match is_closed {
                true => {
                    format!("listening on {url}; from other hosts nobody may ask without --api-token-file")
                }
                false => format!("listening on {url}; --listen none listens nowhere"),
            };
            Ok(OpenedApi { server: Some(server), network, remark: Some(remark) })
        }
        Err(error) if arguments.listen.is_none() => {
            let remark = Some(format!("no HTTP API: {error}"));
            Ok(OpenedApi { server: None, network: pushed(arguments), remark })
        }
        Err(error) => Err(error.into()),
    }
}

/// What nobody can ask for is summed where it is pushed.
fn pushed(arguments: &Arguments) -> Option<Network> {
    arguments.network().filter(|_| arguments.pushes().next().is_some())
}

fn usual(number: u32) -> SocketAddr {
    let beyond = u16::try_from(number.saturating_sub(1)).unwrap_or(u16::MAX);
    SocketAddr::from((Ipv4Addr::LOCALHOST, PORT.saturating_add(beyond)))
}

fn access(arguments: &Arguments) -> Result<Access> {
    let token = arguments.api_token_file.as_deref().map(|file| {
        let shown = file.display();
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
        Token::new(&text).map_err(|mistake| anyhow::anyhow!("{shown}: {mistake}"))
    });
    Ok(Access { token: token.transpose()?, users: vec![0, geteuid().as_raw()], owner: Box::new(owner) })
}

/// Forms of answers.
const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const CSV: &str = "text/csv";
const TEXT: &str = "text/plain";

/// A form that is text, whatever is in it.
fn text(name: &'static str) -> Media {
    Media { name, schema: json!({"type": "string"}) }
}

/// What takes nothing to answer and is for whoever reaches the port.
fn for_anyone(
    path: &'static str,
    summary: &'static str,
    media: Media,
    asks: impl Asks + 'static,
) -> Endpoint {
    Endpoint {
        method: Method::Get,
        path,
        summary,
        description: "",
        who: Who::Anyone,
        load: Load::Nothing,
        parameters: Vec::new(),
        body: None,
        media: vec![media],
        asks: Box::new(asks),
    }
}

fn say(reply: &mut Reply, words: &str) -> Result<(), Problem> {
    reply.write_all(words.as_bytes()).map_err(|_| reply.stopped())
}

/// Nothing, where nothing is missing: an answer that has no place to say it is none.
fn whole(sources: &Sources) -> Result<(), Problem> {
    if sources.is_whole() { Ok(()) } else { Err(Problem::failed(sources.remarks().join("; "))) }
}

/// Lines of JSON as a list.
fn list_of(lines: &[u8]) -> String {
    format!("[{}]", String::from_utf8_lossy(lines).lines().collect::<Vec<_>>().join(","))
}

/// What ends each answer in JSON: whether all of it could be read, and what there is to say.
fn end(out: &mut Reply, is_whole: bool, remarks: &[String]) -> io::Result<()> {
    writeln!(out, ",\"is_whole\":{is_whole},\"remarks\":{}}}", json!(remarks))
}

/// All that can be asked.
fn endpoints(place: Place, memory: u64) -> Vec<Endpoint> {
    let place = Arc::new(place);
    let mut endpoints = vec![
        flows::endpoint(Arc::clone(&place)),
        sums::endpoint(Arc::clone(&place)),
        live::endpoint(Arc::clone(&place)),
        diff::endpoint(Arc::clone(&place)),
    ];
    #[cfg(feature = "sql")]
    endpoints.push(sql::endpoint(Arc::clone(&place), memory));
    #[cfg(not(feature = "sql"))]
    let _ = memory;
    endpoints.extend(state::endpoints(&place));
    endpoints.push(metrics::endpoint(&place));
    index::add(endpoints)
}

#[cfg(all(test, feature = "sql"))]
mod tests {
    use super::*;

    /// `WEIR_BLESS=1` writes it anew.
    #[test]
    fn the_committed_description_is_that_of_the_endpoints() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let endpoints = endpoints(Place::default(), 0);
        let described = format!("{:#}\n", index::describe(&endpoints));
        if std::env::var_os("WEIR_BLESS").is_some() {
            fs::write(path, &described).expect("docs/openapi.json can be written");
        }
        let committed = fs::read_to_string(path).expect("docs/openapi.json is there");
        assert!(
            committed == described,
            "docs/openapi.json is not that of the endpoints: run `make generate`"
        );
    }
}
