//! Small UDP packets through the veth pair: sent a batch at a time, and read back before the
//! next, by one thread. No second thread means that the scheduler has no say in the figures.

use crate::bench::network::{Network, Pair};
use crate::bench::reference::Work;
use crate::interrupt;
use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Where all packets go to.
pub const PORT: u16 = 4739;
/// Fits a receive buffer of the default size.
const BATCH: usize = 64;
/// Makes the smallest Ethernet frame.
const PAYLOAD: [u8; 18] = [0; 18];
const GIVE_UP: Duration = Duration::from_secs(1);

/// Traffic that ends by itself: a packet for each flow in every period.
#[derive(Debug, Clone, Copy)]
pub struct Traffic {
    /// How many there are.
    pub flows: u32,
    /// Of each flow.
    pub packets: u32,
    /// Between two packets of a flow.
    pub period: Duration,
}

/// A socket at each end.
pub struct Generator {
    sender: UdpSocket,
    receiver: UdpSocket,
}

impl Generator {
    /// Opens the sockets.
    pub fn new(network: &Network) -> Result<Self> {
        let any = Ipv4Addr::UNSPECIFIED;
        let sender = network.sender.inside(|| UdpSocket::bind((any, 0)).context("no socket to send from"))?;
        let receiver =
            network.receiver.inside(|| UdpSocket::bind((any, PORT)).context("no socket to read"))?;
        Ok(Self { sender, receiver })
    }

    /// Packets through `pair` for `duration`, over `flows` flows in turn.
    pub fn run(&self, pair: Pair, flows: u32, duration: Duration) -> Result<Work> {
        let mut flows = (0..flows).cycle();
        let start = Instant::now();
        let mut count = 0;
        while start.elapsed() < duration {
            count += self.exchange(pair, &mut flows)? as u64;
        }
        Ok(Work { count, time: start.elapsed() })
    }

    /// Sends all of `traffic` at an even pace: how many packets, and how long it took to send them and to read them back.
    pub fn pass(&self, traffic: Traffic) -> Result<Work> {
        let all = u64::from(traffic.flows) * u64::from(traffic.packets);
        let mut next = (0..traffic.packets).flat_map(|_| 0..traffic.flows);
        let (mut done, start) = (Work::default(), Instant::now());
        while done.count < all {
            let began = Instant::now();
            let count = self.exchange(Pair::Weir, &mut next)? as u64;
            ensure!(count > 0, "the kernel has not taken all {all} packets");
            done += Work { count, time: began.elapsed() };
            let due = traffic.period.mul_f64(done.count as f64 / f64::from(traffic.flows));
            thread::sleep(due.saturating_sub(start.elapsed()));
        }
        Ok(done)
    }

    /// Sends one batch, one packet for each of the next flows, and waits until it has arrived.
    fn exchange(&self, pair: Pair, flows: &mut impl Iterator<Item = u32>) -> Result<usize> {
        interrupt::check()?;
        let addresses: Vec<_> = flows.take(BATCH).map(|flow| Some(destination(pair, flow))).collect();
        let mut headers = MultiHeaders::preallocate(addresses.len(), None);
        let payloads = [[IoSlice::new(&PAYLOAD)]; BATCH];
        let sender = self.sender.as_raw_fd();
        let results =
            sendmmsg(sender, &mut headers, &payloads[..addresses.len()], &addresses, [], MsgFlags::empty());
        let sent = results.context("cannot send")?.count();

        let start = Instant::now();
        let mut arrived = 0;
        while arrived < sent {
            arrived += self.read()?;
            if start.elapsed() > GIVE_UP {
                bail!("{} of {sent} packets were lost on the way through the veth pair", sent - arrived);
            }
        }
        Ok(arrived)
    }

    fn read(&self) -> Result<usize> {
        let mut buffers = [PAYLOAD; BATCH];
        let mut slices: Vec<_> = buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let mut headers = MultiHeaders::<()>::preallocate(BATCH, None);
        match recvmmsg(
            self.receiver.as_raw_fd(),
            &mut headers,
            slices.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        ) {
            Ok(results) => Ok(results.count()),
            Err(Errno::EAGAIN) => Ok(0),
            Err(error) => Err(error).context("cannot read"),
        }
    }
}

fn destination(pair: Pair, flow: u32) -> SockaddrIn {
    let address = Ipv4Addr::from_bits(pair.first_destination().to_bits() + flow);
    SockaddrIn::from(SocketAddrV4::new(address, PORT))
}

/// Traffic at a steady pace for the agent to watch, until it is dropped.
pub struct Background {
    stop: Arc<AtomicBool>,
    packets: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Background {
    /// Sends one packet for each of `flows` flows per `period`. They are the same ones every time, or,
    /// where `range` has more than that, the next ones in turn.
    pub fn start(network: &Network, flows: u32, period: Duration, range: Range<u32>) -> Result<Self> {
        let generator = Generator::new(network)?;
        let (stop, packets) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, arrived) = (Arc::clone(&stop), Arc::clone(&packets));
        let thread = thread::spawn(move || {
            crate::machine::pin_to_one_cpu()?;
            let mut next = range.cycle();
            let start = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                let batch = generator.exchange(Pair::Weir, &mut next)? as u64;
                let total = arrived.fetch_add(batch, Ordering::Relaxed) + batch;
                let due = period.mul_f64(total as f64 / f64::from(flows));
                thread::sleep(due.saturating_sub(start.elapsed()));
            }
            Ok(())
        });
        Ok(Self { stop, packets, thread: Some(thread) })
    }

    /// How many packets have arrived so far.
    pub fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }

    /// Ends it. How many packets have arrived in all; an error if it had ended before.
    pub fn stop(mut self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is stopped once");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(self.packets())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
