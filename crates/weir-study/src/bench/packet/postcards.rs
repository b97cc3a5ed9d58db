//! The reader that a ring buffer of postcards cannot be without.

use crate::machine;
use anyhow::Result;
use libbpf_rs::{MapHandle, RingBufferBuilder};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Reads a ring, on another CPU than its writer, until it is dropped.
pub struct Reader {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Starts to read `ring`.
    pub fn start(ring: MapHandle) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            if let Err(error) = read(&ring, &stopped) {
                eprintln!("weir-bench: nobody reads the postcards: {error:#}");
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read(ring: &MapHandle, stop: &AtomicBool) -> Result<()> {
    machine::leave_that_cpu()?;
    let mut builder = RingBufferBuilder::new();
    builder.add(ring, |_| 0)?;
    let reader = builder.build()?;
    while !stop.load(Ordering::Relaxed) {
        reader.poll(Duration::from_millis(50))?;
    }
    Ok(())
}
