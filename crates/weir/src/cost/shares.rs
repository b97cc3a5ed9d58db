//! What each probe takes of all that an agent's programs take.

use super::Cost;
use serde::Serialize;

/// A probe of one agent, over the time of the measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    /// Null where the programs' names are none of this version's.
    pub probe: Option<&'static str>,
    /// As of its programs.
    pub pid: Option<u32>,
    pub run_time_ns: u64,
    /// Of one CPU.
    pub cpu_percent: f64,
    /// Of all CPUs that are online.
    pub cpu_percent_of_all: f64,
    /// Of the time that all programs of this agent took; null where none ran.
    pub share_percent: Option<f64>,
}

/// In the order of the programs, which are those of one agent after those of another.
pub fn of(programs: &[Cost]) -> Vec<Share> {
    programs.chunk_by(|one, next| one.pid == next.pid).flat_map(of_agent).collect()
}

fn of_agent(programs: &[Cost]) -> Vec<Share> {
    let whole: u64 = programs.iter().map(|cost| cost.run_time_ns).sum();
    let mut shares: Vec<Share> = Vec::new();
    for cost in programs {
        let place = shares.iter().position(|share| share.probe == cost.probe).unwrap_or_else(|| {
            shares.push(Share {
                probe: cost.probe,
                pid: cost.pid,
                run_time_ns: 0,
                cpu_percent: 0.0,
                cpu_percent_of_all: 0.0,
                share_percent: None,
            });
            shares.len() - 1
        });
        let share = &mut shares[place];
        share.run_time_ns += cost.run_time_ns;
        share.cpu_percent += cost.cpu_percent;
        share.cpu_percent_of_all += cost.cpu_percent_of_all;
        share.share_percent = (whole > 0).then(|| share.run_time_ns as f64 / whole as f64 * 100.0);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::super::tests::{measurement, runs};
    use super::*;

    #[test]
    fn the_shares_of_an_agent_are_the_whole() {
        let mut programs = measurement(&[
            runs(1, "weir_ingress", 10, 500),
            runs(2, "weir_clock", 1, 100),
            runs(3, "weir_dns_in", 10, 300),
            runs(4, "weir_of_tomorrow", 10, 100),
            runs(5, "weir_egress", 10, 1),
        ])
        .programs;
        programs[4].pid = Some(7);
        let found = of(&programs);
        let shares: Vec<_> = found
            .iter()
            .map(|share| (share.pid, share.probe, share.run_time_ns, share.share_percent))
            .collect();
        assert_eq!(
            shares,
            [
                (None, Some("flows"), 600, Some(60.0)),
                (None, Some("dns"), 300, Some(30.0)),
                (None, None, 100, Some(10.0)),
                (Some(7), Some("flows"), 1, Some(100.0)),
            ]
        );
        // Of one CPU, and of both.
        assert!(
            (found[0].cpu_percent - 6e-5).abs() < 1e-12 && (found[0].cpu_percent_of_all - 3e-5).abs() < 1e-12
        );
    }

    #[test]
    fn nothing_has_no_shares() {
        let shares = of(&measurement(&[runs(1, "weir_ingress", 0, 0)]).programs);
        assert_eq!((shares.len(), shares[0].share_percent), (1, None));
    }
}
