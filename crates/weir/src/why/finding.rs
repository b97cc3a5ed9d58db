//! What is found: a verdict on each connection, each failure and each queue that was asked about.

use super::connection::{Connection, LISTEN, Pace, SYN_SENT, end, flow};
use super::judge::{self, Case, Limit, Limiter};
use super::target::Target;
use super::words;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use weir_agent::{Failed, Watched, WatchedSocket};
use weir_record::{End, FlowRecord, Process, TcpFailure, printable};

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Connection,
    /// So many attempts at one, or connections that broke off.
    Attempts(u64),
    /// A socket that listens, or a port where nobody does.
    Port,
}

/// A verdict.
#[derive(Debug)]
pub struct Finding {
    pub subject: Subject,
    /// Who and where.
    pub flow: FlowRecord,
    /// The most likely first, with the evidence; never empty.
    pub limits: Vec<(Limit, Vec<String>)>,
    pub bytes_per_second: u64,
    /// Nothing moves, and nothing wants to.
    pub is_idle: bool,
}

impl Finding {
    fn sure(subject: Subject, flow: FlowRecord, limiter: Limiter, evidence: Vec<String>) -> Self {
        let limits = vec![(Limit { limiter, confidence: 1.0 }, evidence)];
        Self { subject, flow, limits, bytes_per_second: 0, is_idle: false }
    }
}

/// All that was asked about: what fails first, then what moves most.
pub fn all(watched: &Watched, target: &Target, interval: Duration) -> Vec<Finding> {
    let mut found: Vec<_> = failures(watched, target).collect();
    found.extend(overrun(watched, target, interval));
    let attempts: HashSet<_> =
        watched.failed.iter().filter(|failed| !failed.is_refusal).map(attempted).collect();
    let connections = Connection::all(watched).into_iter().filter_map(|one| {
        let flow = one.flow();
        // One more of those that failed, at the same place: the looks come upon it on its way.
        let is_next = one.asker.is_some_and(judge::has_just_asked)
            && attempts.contains(&(one.destination, one.source.ip()));
        let is_meant = target.means(&one, &flow) && !is_next;
        is_meant.then(|| connection(&one, flow, watched, interval))
    });
    let mut connections: Vec<_> = connections.collect();
    connections.sort_by_key(|one| (one.is_idle, std::cmp::Reverse(one.bytes_per_second)));
    found.extend(connections);
    if found.is_empty() {
        found.extend(unserved(watched, target));
    }
    found
}

fn connection(one: &Connection<'_>, flow: FlowRecord, watched: &Watched, interval: Duration) -> Finding {
    let case = Case::of(one, watched.tick, interval);
    let evidence = |limiter| match (limiter, one.listener) {
        (Limiter::AcceptQueue | Limiter::SynQueue, Some(listener)) => queue(listener, interval),
        _ => case.evidence(limiter),
    };
    let rate = |bytes: u64, seconds: f64| (bytes as f64 / seconds) as u64;
    let sent = case.sender.map(|side| rate(side.pace.acknowledged, side.pace.seconds));
    let received = case.receiver.map(|side| rate(side.pace.received, side.pace.seconds));
    Finding {
        subject: Subject::Connection,
        flow,
        limits: case.limits.iter().map(|limit| (limit.clone(), evidence(limit.limiter))).collect(),
        bytes_per_second: received.or(sent).unwrap_or(0),
        is_idle: case.is_idle(),
    }
}

fn queue(listener: &WatchedSocket, interval: Duration) -> Vec<String> {
    let pace = Pace::of(listener, Duration::ZERO, interval);
    words::listener(listener, pace.drops, pace.seconds)
}

/// Sockets that listen and turn away who comes.
fn overrun<'a>(
    watched: &'a Watched,
    target: &'a Target,
    interval: Duration,
) -> impl Iterator<Item = Finding> + 'a {
    let listening = watched.sockets.iter().filter(|socket| socket.last.state == LISTEN);
    listening.filter_map(move |socket| {
        let flow = at(socket);
        let pace = Pace::of(socket, Duration::ZERO, interval);
        let is_meant = match target {
            Target::Filter(filter) => filter.matches(&flow),
            Target::Process(pid) => {
                socket.holders.iter().any(|end| end.process.as_ref().is_some_and(|one| one.pid == *pid))
            }
            target => target.is_served_at(socket.local),
        };
        let evidence = words::listener(socket, pace.drops, pace.seconds);
        let limiter = judge::overrun(socket, pace.drops).filter(|_| is_meant)?;
        Some(Finding::sure(Subject::Port, flow, limiter, evidence))
    })
}

fn at(socket: &WatchedSocket) -> FlowRecord {
    let mut flow = flow(socket.netns.clone(), nobody(socket.local), socket.local);
    flow.destination = End { tcp: None, ..end(socket) };
    flow
}

fn nobody(like: SocketAddr) -> SocketAddr {
    let any: IpAddr =
        if like.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() };
    SocketAddr::new(any, 0)
}

/// Those that failed: one finding for all attempts at the same place, told by the end that asked if it is here.
fn failures<'a>(watched: &'a Watched, target: &'a Target) -> impl Iterator<Item = Finding> + 'a {
    let mut groups: BTreeMap<_, Vec<(&Failed, FlowRecord)>> = BTreeMap::new();
    for failed in &watched.failed {
        let flow = attempt(failed);
        let (source, destination) = ends(failed);
        let is_meant = match target {
            Target::Filter(filter) => filter.matches(&flow),
            Target::Process(pid) => failed.socket.last.pid == *pid,
            target => target.is_at(source) || target.is_at(destination),
        };
        if is_meant {
            let key = (destination, source.ip(), failed.failure, failed.is_refusal);
            groups.entry(key).or_default().push((failed, flow));
        }
    }
    let told: Vec<_> = groups.keys().filter(|key| !key.3).map(|key| (key.0, key.1)).collect();
    groups.into_iter().filter_map(move |((destination, source, failure, is_refusal), all)| {
        if is_refusal && told.contains(&(destination, source)) {
            return None;
        }
        let count = all.len() as u64;
        let pids: BTreeSet<_> = all.iter().map(|(failed, _)| failed.socket.last.pid).collect();
        let (failed, mut flow) = all.into_iter().next_back()?;
        let others = (pids.len() > 1).then(|| format!("by {} processes", pids.len()));
        if others.is_some() {
            flow.source.process = None;
        }
        let evidence = others.into_iter().chain(causes(watched, failed, destination, count)).collect();
        Some(Finding::sure(Subject::Attempts(count), flow, Limiter::Failure(failure), evidence))
    })
}

/// What was asked for, and from where.
fn attempted(failed: &Failed) -> (SocketAddr, IpAddr) {
    let (source, destination) = ends(failed);
    (destination, source.ip())
}

/// Who asked, and who was asked: the end that refuses is the latter.
fn ends(failed: &Failed) -> (SocketAddr, SocketAddr) {
    let (local, remote) = (failed.socket.local, failed.socket.remote);
    if failed.is_refusal { (remote, local) } else { (local, remote) }
}

fn attempt(failed: &Failed) -> FlowRecord {
    let (source, destination) = ends(failed);
    let mut flow = flow(failed.socket.netns.clone(), source, destination);
    let here = End { process: process(failed.socket.last.pid), ..end(&failed.socket) };
    if failed.is_refusal {
        flow.destination = here;
    } else {
        flow.source = here;
    }
    flow
}

/// By its number: none if it is gone by now.
fn process(pid: u32) -> Option<Arc<Process>> {
    let command = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    let command = printable(command.trim_end());
    Some(Arc::new(Process { pid, command, ..Process::default() }))
}

fn causes(watched: &Watched, failed: &Failed, destination: SocketAddr, count: u64) -> Vec<String> {
    let times = if count == 1 { "once".into() } else { format!("{count} times") };
    let last = &failed.socket.last;
    let again = if last.state == SYN_SENT { last.segments_retransmitted } else { 0 };
    let asked = (again > 0).then(|| format!("its SYN was sent {} times", again + 1));
    let local = [TcpFailure::Refused, TcpFailure::AcceptQueueFull].contains(&failed.failure)
        && (failed.is_refusal || is_here(watched, destination.ip()));
    let listens = local.then(|| listens(watched, destination));
    std::iter::once(times).chain(asked).chain(listens).collect()
}

fn is_here(watched: &Watched, address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified() || watched.addresses.contains(&address)
}

/// What is known of a port.
fn listens(watched: &Watched, at: SocketAddr) -> String {
    let serves = |socket: &&WatchedSocket| {
        socket.last.state == LISTEN
            && socket.local.port() == at.port()
            && (socket.local.ip() == at.ip()
                || socket.local.ip().is_unspecified()
                || at.ip().is_unspecified())
    };
    match watched.sockets.iter().find(serves) {
        Some(socket) => {
            let who = words::who(socket).unwrap_or_else(|| "somebody".into());
            format!("{who} listens on port {} in {}", at.port(), socket.netns.0)
        }
        None => format!("nobody listens on port {} here", at.port()),
    }
}

/// Where there is nothing to be judged: whether anybody could connect.
fn unserved(watched: &Watched, target: &Target) -> Option<Finding> {
    let Target::End(address, port) = target else { return None };
    let at = SocketAddr::new(address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), *port);
    let is_served =
        watched.sockets.iter().any(|one| one.last.state == LISTEN && target.is_served_at(one.local));
    (is_here(watched, at.ip()) && !is_served).then(|| {
        let flow = flow((Arc::from(""), true), nobody(at), at);
        let evidence = vec![listens(watched, at), "nobody has tried just now".into()];
        Finding::sure(Subject::Port, flow, Limiter::Failure(TcpFailure::Refused), evidence)
    })
}
