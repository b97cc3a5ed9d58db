//! Traffic models, as they are written on the command line: `40-flows`, `zipf-100000+bursts-of-8+ipv6`.

use super::ports::FLOWS_MAX;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Which flows the packets are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mix {
    /// So many, drawn evenly.
    Flows(u32),
    /// One for each sender.
    FlowPerCpu,
    /// So many, drawn by Zipf's law: the second half as often as the first, the third a third as often …
    Zipf(u32),
    /// Those of a capture file, in its order.
    Replay(PathBuf),
}

/// How large frames are, without the checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// All alike.
    Fixed(u16),
    /// Seven of 60 bytes, four of 590, one of 1514.
    Imix,
}

/// What packets are made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GeneratorKind {
    /// Live frames through `BPF_PROG_TEST_RUN`, let in at the far end (5.18).
    Xdp,
    /// A packet socket with a mapped ring.
    Packet,
    /// UDP sockets and `sendmmsg()`.
    Udp,
}

impl GeneratorKind {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        ["xdp", "packet", "udp"][self as usize]
    }
}

/// A traffic model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traffic {
    /// Which flows.
    pub mix: Mix,
    /// Packets of a flow that follow on one another.
    pub burst: u32,
    /// How large.
    pub size: Size,
    /// IPv6, else IPv4.
    pub ipv6: bool,
    /// What makes the packets; the fastest that there is without this.
    pub generator: Option<GeneratorKind>,
}

/// The least frame of Ethernet, without the checksum.
pub const LEAST: u16 = 60;
/// The largest that fits an MTU of 1500.
pub const MOST: u16 = 1514;
/// What IPv6 takes with our stamp.
const LEAST_IPV6: u16 = 78;

/// The least that a frame of a study can be.
pub fn least(ipv6: bool) -> u16 {
    if ipv6 { LEAST_IPV6 } else { LEAST }
}

impl FromStr for Traffic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split('+');
        let mix = parse_mix(parts.next().unwrap_or_default())?;
        let mut traffic = Self { mix, burst: 1, size: Size::Fixed(LEAST), ipv6: false, generator: None };
        for part in parts {
            traffic.change(part)?;
        }
        Ok(traffic)
    }
}

fn parse_mix(word: &str) -> Result<Mix, String> {
    if let Some(path) = word.strip_prefix("pcap:").filter(|path| !path.is_empty()) {
        return Ok(Mix::Replay(path.into()));
    }
    if let Some(count) = word.strip_prefix("zipf-") {
        return Ok(Mix::Zipf(number(count, FLOWS_MAX)?));
    }
    if let Some(count) = word.strip_suffix("-flows").or_else(|| word.strip_suffix("-flow")) {
        return Ok(Mix::Flows(number(count, FLOWS_MAX)?));
    }
    match word {
        "flow-per-cpu" => Ok(Mix::FlowPerCpu),
        "zipf" => Ok(Mix::Zipf(100_000)),
        _ => Err(format!("'{word}' is no traffic: 1-flow, 40-flows, flow-per-cpu, zipf-100000 or pcap:FILE")),
    }
}

impl Traffic {
    fn change(&mut self, word: &str) -> Result<(), String> {
        if let Some(count) = word.strip_prefix("bursts-of-") {
            self.burst = number(count, 4096)?;
        } else if let Some(bytes) = word.strip_suffix("-bytes") {
            let bytes = number(bytes, MOST.into())?;
            self.size = Size::Fixed(u16::try_from(bytes).unwrap_or(MOST).max(LEAST));
        } else {
            match word {
                "imix" => self.size = Size::Imix,
                "ipv6" => self.ipv6 = true,
                "xdp" => self.generator = Some(GeneratorKind::Xdp),
                "packet" => self.generator = Some(GeneratorKind::Packet),
                "udp" => self.generator = Some(GeneratorKind::Udp),
                _ => {
                    return Err(format!(
                        "'{word}' is nothing to add to a traffic: bursts-of-8, 1500-bytes, imix, ipv6, xdp, packet or udp"
                    ));
                }
            }
        }
        Ok(())
    }

    /// In a few words.
    pub fn about(&self) -> String {
        let mut about = match &self.mix {
            Mix::Flows(1) => "one flow".into(),
            Mix::Flows(count) => format!("{count} flows at random"),
            Mix::FlowPerCpu => "one flow for each sending CPU".into(),
            Mix::Zipf(count) => format!("{count} flows by Zipf's law"),
            Mix::Replay(path) => format!("flows, order and sizes of {}", path.display()),
        };
        if self.burst > 1 {
            about += &format!(", in bursts of {}", self.burst);
        }
        match self.size {
            Size::Imix => about += ", small and large frames mixed",
            Size::Fixed(bytes) if bytes > LEAST => about += &format!(", frames of {bytes} bytes"),
            Size::Fixed(_) => {}
        }
        if self.ipv6 {
            about += ", IPv6";
        }
        about
    }
}

/// As it is written on the command line.
impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.mix {
            Mix::Flows(1) => write!(f, "1-flow")?,
            Mix::Flows(count) => write!(f, "{count}-flows")?,
            Mix::FlowPerCpu => write!(f, "flow-per-cpu")?,
            Mix::Zipf(count) => write!(f, "zipf-{count}")?,
            Mix::Replay(path) => write!(f, "pcap:{}", path.display())?,
        }
        if self.burst > 1 {
            write!(f, "+bursts-of-{}", self.burst)?;
        }
        match self.size {
            Size::Imix => write!(f, "+imix")?,
            Size::Fixed(bytes) if bytes > LEAST => write!(f, "+{bytes}-bytes")?,
            Size::Fixed(_) => {}
        }
        if self.ipv6 {
            write!(f, "+ipv6")?;
        }
        match self.generator {
            Some(generator) => write!(f, "+{}", generator.name()),
            None => Ok(()),
        }
    }
}

fn number(text: &str, most: u32) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("'{text}' is not a number from 1 to {most}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        for text in [
            "1-flow",
            "40-flows",
            "flow-per-cpu",
            "zipf-5000",
            "pcap:/tmp/a.pcap",
            "1000-flows+bursts-of-8+1500-bytes+ipv6+udp",
            "100000-flows+imix+packet",
        ] {
            assert_eq!(text.parse::<Traffic>().map(|traffic| traffic.to_string()), Ok(text.into()));
        }
        assert_eq!("zipf".parse::<Traffic>().map(|traffic| traffic.to_string()), Ok("zipf-100000".into()));
    }

    #[test]
    fn mistakes_are_told() {
        for text in
            ["", "flows", "0-flows", "9999999-flows", "1-flow+", "1-flow+tcp", "40-flows+0-bytes", "pcap:"]
        {
            assert!(text.parse::<Traffic>().is_err(), "{text}");
        }
    }
}
