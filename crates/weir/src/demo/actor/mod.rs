//! `weir demo-actor`: what the demo's hosts run. It enters the host's namespace and becomes an installed
//! program, or plays its stand-in.

mod client;
mod db;
mod dns;
mod scan;
mod web;

use super::programs::{Program, Role};
use super::stage::{self, Host, NAMESPACES, Stage};
use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::os::unix::process::{CommandExt, parent_id};
use std::process::{Command, ExitCode};

/// The first argument of those who play. Not a command of the user's: no help or completion shows it.
pub const NAME: &str = "demo-actor";

/// What follows it.
#[derive(Parser)]
#[command(name = "weir demo-actor")]
struct Arguments {
    #[command(subcommand)]
    actor: Actor,
}

#[derive(Subcommand)]
enum Actor {
    /// Play a host of the demo
    Host {
        /// Which
        name: String,
        /// The demo's process id
        #[arg(long)]
        demo: u32,
        /// Only stand-ins
        #[arg(long)]
        stand_ins: bool,
    },
    /// Become a program that dies with the one who started it
    Tool {
        /// Who started it
        parent: u32,
        /// The program and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
}

/// Plays until it is killed; `words` begin with [`NAME`].
pub fn run(words: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    match Arguments::try_parse_from(words)?.actor {
        Actor::Host { name, demo, stand_ins } => {
            die_with(demo)?;
            let host = stage::HOSTS.iter().find(|host| host.name == name);
            let host = host.with_context(|| format!("there is no host {name} in the demo"))?;
            let stage = Stage { pid: demo };
            enter(&stage.namespace(host.name))?;
            play(host, stage, stand_ins)
        }
        Actor::Tool { parent, words } => {
            die_with(parent)?;
            let (program, arguments) = words.split_first().context("no program")?;
            Err(Command::new(program).args(arguments).exec()).context("cannot start a program")
        }
    }
}

/// The kernel kills this process when the thread that started it is gone, however it went.
fn die_with(parent: u32) -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("cannot tie myself to the demo")?;
    if parent_id() != parent {
        bail!("demo-actor is started by weir demo");
    }
    Ok(())
}

/// Moves this thread, and all that it starts, into a namespace.
pub fn enter(namespace: &str) -> Result<()> {
    let moved = File::open(format!("{NAMESPACES}/{namespace}"))
        .map_err(anyhow::Error::from)
        .and_then(|file| Ok(setns(file, CloneFlags::CLONE_NEWNET)?));
    moved.with_context(|| format!("cannot enter the network namespace {namespace}"))
}

fn play(host: &Host, stage: Stage, stand_ins: bool) -> Result<ExitCode> {
    let role = match host {
        &stage::WEB => Role::Web,
        &stage::DB => Role::Database,
        &stage::DNS => Role::NameServer,
        client => return client::play(client, stage, stand_ins),
    };
    if let Some(program) = (!stand_ins).then(|| Program::find(role)).flatten() {
        return Err(program.become_it(stage)).with_context(|| format!("cannot start {}", program.name));
    }
    call_myself(host.name);
    match role {
        Role::Web => web::serve(&stage.directory().join("pages")),
        Role::Database => db::serve(),
        _ => dns::serve(),
    }
    .with_context(|| format!("the stand-in of {} failed", host.name))
}

/// The name in `ps` and `top` says what it is.
fn call_myself(name: &str) {
    if let Ok(name) = CString::new(format!("demo-{name}")) {
        let _ = prctl::set_name(&name);
    }
}
