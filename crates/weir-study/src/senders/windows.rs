//! Windows of a thousand packets, timed one after the other.

use std::time::{Duration, Instant};

/// Packets of a window; WINDOW in `traffic.bpf.c`.
pub const WINDOW: u64 = 1024;

/// Times the windows of a sender that sends in batches. Only batches that end where a window does can be told apart.
#[derive(Debug, Default)]
pub struct Windows {
    begun: Option<Instant>,
    took: Vec<(u64, Duration)>,
}

impl Windows {
    /// How many packets of its window are left, from packet `number` on.
    pub fn left(number: u64) -> u64 {
        WINDOW - number % WINDOW
    }

    /// All packets before `number` are sent.
    pub fn reach(&mut self, number: u64) {
        if !number.is_multiple_of(WINDOW) {
            return;
        }
        let now = Instant::now();
        if let Some(begun) = self.begun.replace(now) {
            self.took.push((number / WINDOW - 1, now - begun));
        }
    }

    /// Nanoseconds that a packet took in each even window, and in the odd one after it.
    pub fn pairs(&self) -> Vec<(f64, f64)> {
        let packet_ns = |took: Duration| took.as_nanos() as f64 / WINDOW as f64;
        let pairs = self.took.windows(2).filter(|pair| pair[0].0.is_multiple_of(2));
        pairs.map(|pair| (packet_ns(pair[0].1), packet_ns(pair[1].1))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(numbers: &[u64]) -> usize {
        let mut windows = Windows::default();
        numbers.iter().for_each(|number| windows.reach(*number));
        windows.pairs().len()
    }

    #[test]
    fn whole_windows_pair_up_from_an_even_one_on() {
        assert_eq!(pairs(&[0, 512, 1024, 2048]), 1);
        assert_eq!(pairs(&[100, 1024, 2048, 3072]), 0);
        assert_eq!(pairs(&[100, 1024, 2048, 3072, 4096, 5000]), 1);
        assert_eq!(pairs(&[0, 512, 1024]), 0);
    }

    #[test]
    fn a_batch_ends_with_its_window() {
        assert_eq!([0, 1, 1023, 1024].map(Windows::left), [1024, 1023, 1, 1024]);
    }
}
