//! The far end of a study over a real link: `weir study sink`.

use super::line::{ARRIVED, CPUS_MAX, attach_sink, total};
use super::remote::PORT;
use crate::{arms, interrupt};
use anyhow::{Context, Result};
use nix::net::if_::if_nametoindex;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use weir_kernel::Shared;

/// Between two looks whether somebody has had enough.
const GLANCE: Duration = Duration::from_millis(100);

/// Counts the study's packets that come in through `interface`, takes them off the way, and tells whoever asks,
/// until it is interrupted. `ready` hears where it listens. How many packets have arrived in the end.
///
/// # Errors
/// There is no such interface, a privilege is missing, or another sink listens already.
pub fn sink(interface: &str, ready: impl FnOnce(u16)) -> Result<u64> {
    interrupt::catch()?;
    let index = if_nametoindex(interface).with_context(|| format!("no interface {interface}"))?;
    let traffic = arms::traffic(1)?;
    let arrivals = Arc::new(Shared::new(traffic.map("arrivals")?, CPUS_MAX * ARRIVED)?);
    let _sink = attach_sink(&traffic, index)?;
    // Takes IPv4 as well.
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT))
        .or_else(|_| TcpListener::bind(("0.0.0.0", PORT)))
        .with_context(|| format!("cannot listen on TCP port {PORT}"))?;
    listener.set_nonblocking(true)?;
    ready(PORT);
    while interrupt::check().is_ok() {
        match listener.accept() {
            Ok((client, _)) => {
                let arrivals = Arc::clone(&arrivals);
                thread::spawn(move || answer(client, &arrivals));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(GLANCE),
            Err(error) => return Err(error).context("cannot accept a connection"),
        }
    }
    Ok(total(&arrivals))
}

fn answer(client: TcpStream, arrivals: &Shared) -> std::io::Result<()> {
    client.set_nonblocking(false)?;
    let mut answers = client.try_clone()?;
    for line in BufReader::new(client).lines() {
        line?;
        writeln!(answers, "{}", total(arrivals))?;
    }
    Ok(())
}
