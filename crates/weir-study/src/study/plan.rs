//! What is to be measured, and how thoroughly.

use crate::arms::{ARMS, Kind, Spec};
use crate::results::NONE;
use crate::traffic::Traffic;
use std::net::IpAddr;
use std::time::Duration;

/// How much time a study takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// A minute or so: to see what comes out.
    Quick,
    /// Some minutes.
    Standard,
    /// Half an hour or so: to be quoted.
    Full,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How thoroughly.
    pub effort: Effort,
    /// How often each arm is measured; as the effort has it without this.
    pub rounds: Option<u32>,
    /// The arms, `none` first; all without any.
    pub arms: Vec<&'static Spec>,
    /// The traffics; those of the effort without any.
    pub traffics: Vec<Traffic>,
    /// A real link: its interface, and the other host.
    pub link: Option<(String, IpAddr)>,
}

impl Effort {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        ["quick", "standard", "full"][self as usize]
    }

    /// Times that an arm is measured under a traffic. From four on, two studies can be compared.
    pub fn rounds(self) -> u32 {
        [4, 7, 9][self as usize]
    }

    /// How long it is measured at a time. Consumers that read at intervals do so at the end at least.
    pub fn slice(self) -> Duration {
        Duration::from_millis([80, 200, 250][self as usize])
    }

    /// How long to wait, under one traffic, for moments in which the machine is quick; nothing where there is no time for
    /// windows at all.
    pub fn patience(self) -> Option<Duration> {
        [None, Some(30), Some(60)][self as usize].map(Duration::from_secs)
    }

    fn traffics(self) -> &'static [&'static str] {
        match self {
            Self::Quick => &["1-flow", "40-flows"],
            Self::Standard => {
                &["1-flow", "40-flows", "1000-flows", "100000-flows", "zipf-100000", "1000-flows+bursts-of-8"]
            }
            Self::Full => &[
                "1-flow",
                "flow-per-cpu",
                "40-flows",
                "1000-flows",
                "10000-flows",
                "100000-flows",
                "zipf-100000",
                "1000-flows+bursts-of-8",
                "100000-flows+bursts-of-8",
                "40-flows+imix",
                "40-flows+ipv6",
                "40-flows+packet",
                "40-flows+udp",
            ],
        }
    }
}

impl Plan {
    /// Times that each arm is measured.
    pub fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(self.effort.rounds())
    }

    /// The traffics to be measured.
    pub fn traffics(&self) -> Vec<Traffic> {
        if !self.traffics.is_empty() {
            let mut once = Vec::new();
            for traffic in &self.traffics {
                if !once.contains(traffic) {
                    once.push(traffic.clone());
                }
            }
            return once;
        }
        let all = self.effort.traffics().iter();
        let parsed = all.map(|text| text.parse::<Traffic>().expect("they are tested"));
        if self.link.is_none() {
            return parsed.collect();
        }
        // Over a real link there are sockets only, and one family.
        let plain = parsed.filter(|traffic| traffic.generator.is_none() && !traffic.ipv6);
        plain.map(|traffic| Traffic { ipv6: self.is_ipv6(), ..traffic }).collect()
    }

    /// Whether the link is one of IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.link.as_ref().is_some_and(|(_, to)| to.is_ipv6())
    }

    /// The arms to be measured: without `none` there would be nothing to compare with. Other programs take seconds
    /// to start and to end, too long for a quick study that has not been asked for them; tcpdump is what people
    /// know.
    pub fn arms(&self) -> Vec<&'static Spec> {
        if !self.arms.is_empty() {
            // Each once, in the order of the reports.
            return ARMS.iter().filter(|spec| spec.name == NONE || self.arms.contains(spec)).collect();
        }
        let quick = self.effort == Effort::Quick;
        let slow = |spec: &Spec| spec.kind == Kind::Program && !["tcpdump", "af-packet"].contains(&spec.name);
        ARMS.iter().filter(|spec| !(quick && slow(spec))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(effort: Effort) -> Plan {
        Plan { effort, rounds: None, arms: Vec::new(), traffics: Vec::new(), link: None }
    }

    #[test]
    fn every_effort_has_traffics_that_can_be_read() {
        for effort in [Effort::Quick, Effort::Standard, Effort::Full] {
            assert_eq!(plan(effort).traffics().len(), effort.traffics().len());
        }
        for to in [IpAddr::from([10, 0, 0, 1]), IpAddr::from([0; 16])] {
            let link = Plan { link: Some(("eth0".into(), to)), ..plan(Effort::Full) }.traffics();
            assert!(link.len() > 5);
            assert!(link.iter().all(|traffic| traffic.generator.is_none() && traffic.ipv6 == to.is_ipv6()));
        }
    }

    #[test]
    fn there_is_always_something_to_compare_with() {
        let names = |plan: &Plan| plan.arms().iter().map(|spec| spec.name).collect::<Vec<_>>();
        let arms = vec![&ARMS[7], &ARMS[0]];
        assert_eq!(names(&Plan { arms, ..plan(Effort::Quick) }), ["none", "hash"]);
        assert_eq!(names(&plan(Effort::Full)).len(), ARMS.len());
        assert!(!names(&plan(Effort::Quick)).contains(&"pmacct"));
    }
}
