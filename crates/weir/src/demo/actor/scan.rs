//! The stand-in of a port scanner: connect(2), port by port.

use crate::demo::stage::{LAST_SCANNED, WEB};
use std::net::TcpStream;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(1);

/// Tries every port of the web server.
pub fn scan() {
    for port in 1..=LAST_SCANNED {
        let _ = TcpStream::connect_timeout(&(WEB.address, port).into(), PATIENCE);
    }
}
