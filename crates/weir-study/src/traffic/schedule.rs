//! A traffic model spelled out: packet after packet, round and round. All generators walk through the same one,
//! so that what each flow got is known without counting.

use super::model::{LEAST, MOST, Mix, Size, Traffic, least};
use crate::random::SplitMix64;
use std::ops::Range;

/// Steps of a schedule, at least: what comes round again has left the caches.
const STEPS: u32 = 1 << 18;
/// At most: eight bytes each.
const STEPS_MAX: u32 = 1 << 22;

/// One packet. As `struct step` in `traffic.bpf.c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its flow.
    pub flow: u32,
    /// Bytes of the frame.
    pub length: u16,
    /// IPv6, else IPv4.
    pub ipv6: bool,
}

/// All packets of a round, and which of them are whose.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// One after another.
    pub steps: Vec<Step>,
    /// Of each sender.
    pub parts: Vec<Range<u32>>,
    /// How many flows there are.
    pub flows: u32,
}

impl Schedule {
    /// Spells out `traffic` for so many senders; `replayed` is what a capture file holds.
    pub fn new(traffic: &Traffic, senders: u32, replayed: Vec<Step>) -> Self {
        if let Mix::Replay(_) = traffic.mix {
            return Self::replay(replayed, senders);
        }
        let mut random = SplitMix64(0x7765_6972);
        let mut draw = Draw::of(&traffic.mix, senders);
        let count = match draw.flows {
            1 => 1024,
            flows => STEPS.max(flows.saturating_mul(traffic.burst).min(STEPS_MAX)) / senders,
        };
        let mut steps_of = |sender: u32| {
            let (mut flow, mut left) = (0, 0);
            let step = |_| {
                if left == 0 {
                    (flow, left) = (draw.next(sender, &mut random), traffic.burst);
                }
                left -= 1;
                Step { flow, length: length(traffic, &mut random), ipv6: traffic.ipv6 }
            };
            (0..count).map(step).collect::<Vec<_>>()
        };
        let (mut steps, mut parts) = (Vec::new(), Vec::new());
        for sender in 0..senders {
            let begin = steps.len() as u32;
            steps.extend(steps_of(sender));
            parts.push(begin..steps.len() as u32);
        }
        let flows = draw.flows;
        Self { steps, parts, flows }
    }

    /// Each sender takes a part of the file, flows of several parts included.
    fn replay(steps: Vec<Step>, senders: u32) -> Self {
        let (count, senders) = (steps.len() as u32, u64::from(senders));
        let bound = |sender: u64| (u64::from(count) * sender / senders) as u32;
        let parts = (0..senders).map(|sender| bound(sender)..bound(sender + 1)).collect();
        let flows = steps.iter().map(|step| step.flow + 1).max().unwrap_or(0);
        Self { steps, parts, flows }
    }

    /// Packets of each flow when sender `n` has sent `sent[n]` packets, beginning at step `begun[n]` of its part.
    pub fn packets(&self, begun: &[u64], sent: &[u64]) -> Vec<u64> {
        let mut packets = vec![0; self.flows as usize];
        for ((part, begun), sent) in self.parts.iter().zip(begun).zip(sent) {
            let steps = &self.steps[part.start as usize..part.end as usize];
            let count = steps.len() as u64;
            let (rounds, rest) = (sent / count, sent % count);
            for (number, step) in steps.iter().enumerate() {
                let after = (number as u64 + count - begun % count) % count;
                packets[step.flow as usize] += rounds + u64::from(after < rest);
            }
        }
        packets
    }

    /// Bytes of a frame on average.
    pub fn mean_bytes(&self) -> f64 {
        let sum: u64 = self.steps.iter().map(|step| u64::from(step.length)).sum();
        sum as f64 / self.steps.len().max(1) as f64
    }
}

/// How the next flow is found.
struct Draw {
    flows: u32,
    order: Order,
}

enum Order {
    /// Each sender has its own.
    PerSender,
    /// As cards from a deck, which is shuffled whenever it is through: all come up, and equally often.
    Deck(Vec<u32>),
    /// By Zipf's law: the share of each flow and all before it.
    Shares(Vec<f64>),
}

impl Draw {
    fn of(mix: &Mix, senders: u32) -> Self {
        let (flows, order) = match mix {
            Mix::Flows(flows) => (*flows, Order::Deck(Vec::new())),
            Mix::FlowPerCpu => (senders, Order::PerSender),
            Mix::Zipf(flows) => (*flows, Order::Shares(zipf(*flows))),
            Mix::Replay(_) => (0, Order::PerSender),
        };
        Self { flows, order }
    }

    fn next(&mut self, sender: u32, random: &mut SplitMix64) -> u32 {
        match &mut self.order {
            Order::PerSender => sender,
            Order::Deck(left) => {
                if left.is_empty() {
                    left.extend(0..self.flows);
                }
                left.swap_remove(random.below(left.len() as u64) as usize)
            }
            Order::Shares(shares) => {
                let share = random.next() as f64 / u64::MAX as f64;
                (shares.partition_point(|sum| *sum < share) as u32).min(self.flows - 1)
            }
        }
    }
}

fn zipf(flows: u32) -> Vec<f64> {
    let mut sum = 0.0;
    let sums: Vec<f64> = (1..=flows)
        .map(|rank| {
            sum += 1.0 / f64::from(rank);
            sum
        })
        .collect();
    sums.into_iter().map(|so_far| so_far / sum).collect()
}

fn length(traffic: &Traffic, random: &mut SplitMix64) -> u16 {
    let length = match traffic.size {
        Size::Fixed(bytes) => bytes,
        Size::Imix => match random.next() % 12 {
            0..7 => LEAST,
            7..11 => 590,
            _ => MOST,
        },
    };
    length.max(least(traffic.ipv6))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(text: &str, senders: u32) -> Schedule {
        Schedule::new(&text.parse().expect("it is a traffic"), senders, Vec::new())
    }

    #[test]
    fn the_packets_of_each_flow_are_known() {
        let schedule = schedule("40-flows", 2);
        let (begun, sent) = ([5, 131_000], [300_001, 7]);
        let packets = schedule.packets(&begun, &sent);
        // The same, packet by packet.
        let mut walked = vec![0_u64; 40];
        for ((part, begun), sent) in schedule.parts.iter().zip(begun).zip(sent) {
            for number in begun..begun + sent {
                let step = part.start + (number % u64::from(part.end - part.start)) as u32;
                walked[schedule.steps[step as usize].flow as usize] += 1;
            }
        }
        assert_eq!(packets, walked);
        assert_eq!(packets.iter().sum::<u64>(), 300_008);
    }

    #[test]
    fn every_flow_comes_up() {
        for text in ["1-flow", "40-flows", "100000-flows", "300000-flows"] {
            let schedule = schedule(text, 1);
            let packets = schedule.packets(&[0], &[schedule.steps.len() as u64]);
            assert!(packets.iter().all(|packets| *packets > 0), "{text}");
            let (least, most) = (packets.iter().min(), packets.iter().max());
            assert!(least.zip(most).is_some_and(|(least, most)| most - least <= 1), "{text}");
        }
    }

    #[test]
    fn bursts_follow_on_one_another() {
        let schedule = schedule("1000-flows+bursts-of-8", 1);
        assert!(schedule.steps.chunks(8).all(|burst| burst.iter().all(|step| step.flow == burst[0].flow)));
    }

    #[test]
    fn senders_have_flows_of_their_own_where_asked_for() {
        let schedule = schedule("flow-per-cpu", 3);
        assert_eq!(schedule.flows, 3);
        for (sender, part) in schedule.parts.iter().enumerate() {
            let steps = &schedule.steps[part.start as usize..part.end as usize];
            assert!(!steps.is_empty() && steps.iter().all(|step| step.flow as usize == sender));
        }
    }

    #[test]
    fn zipf_has_its_head_and_its_tail() {
        let schedule = schedule("zipf-1000", 1);
        let packets = schedule.packets(&[0], &[u64::from(STEPS)]);
        let ratio = packets[0] as f64 / packets[9] as f64;
        assert!((8.0..12.5).contains(&ratio), "the first comes ten times as often as the tenth: {ratio}");
        assert!(packets.iter().filter(|packets| **packets > 0).count() > 900);
    }

    #[test]
    fn frames_have_the_sizes_asked_for() {
        let imix = schedule("40-flows+imix", 1);
        assert!((340.0..380.0).contains(&imix.mean_bytes()), "{}", imix.mean_bytes());
        assert!(schedule("1-flow+ipv6", 1).steps.iter().all(|step| step.length == 78 && step.ipv6));
    }
}
