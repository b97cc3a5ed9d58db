//! What stands on the command line, turned into types.

use crate::run::Listen;
use glob::Pattern;
use ipnet::IpNet;
use jiff::{SignedDuration, Span, SpanRelativeTo};
use std::net::IpAddr;
use std::time::Duration;
use weir_agent::{KubernetesSource, Namespaces};
use weir_record::EventKind;

/// `100ms`, `15s`, `1m30s`; more than nothing.
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration =
        text.parse().map_err(|_| "not a duration: write it like 100ms, 15s or 1m30s".to_string())?;
    match Duration::try_from(parsed) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("must be more than nothing".into()),
    }
}

/// As [`duration`], of days and weeks too: `7d`.
pub fn age(text: &str) -> Result<Duration, String> {
    let wrong = || "not a time: write it like 12h, 7d or 4w".to_string();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let age = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    match Duration::try_from(age) {
        Ok(age) if !age.is_zero() => Ok(age),
        _ => Err("must be more than nothing".into()),
    }
}

/// How often to drain: the kernel counts in 64 bits and ticks in 32, and a grace period takes milliseconds.
pub fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if (Duration::from_millis(10)..=Duration::from_secs(60)).contains(&interval) {
        Ok(interval)
    } else {
        Err("must be from 10ms to 60s".into())
    }
}

/// How long an answer may take: whole seconds, so that a question can ask for less.
pub fn patience(text: &str) -> Result<Duration, String> {
    let patience = duration(text)?;
    if (Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&patience) {
        Ok(patience)
    } else {
        Err("must be from 1s to 1h".into())
    }
}

/// Where to listen, or `none`.
pub fn listen(text: &str) -> Result<Listen, String> {
    if text == "none" {
        return Ok(Listen::Nowhere);
    }
    let wrong = "not an address and a port: write it like 127.0.0.1:7979 or [::1]:7979; none for nowhere";
    text.parse().map(Listen::At).map_err(|_| wrong.into())
}

/// `64MiB`, `1GB`, or a number of bytes.
pub fn size(text: &str) -> Result<u64, String> {
    let size: bytesize::ByteSize =
        text.parse().map_err(|_| "not a size: write it like 64MiB, or as a number of bytes".to_string())?;
    Ok(size.as_u64())
}

/// A kind of events, by name.
pub fn event_kind(name: &str) -> Result<&'static EventKind, String> {
    let names = || EventKind::ALL.map(|kind| kind.name).join(", ");
    EventKind::named(name).ok_or_else(|| format!("there is no such kind of events. There are: {}", names()))
}

/// A pattern with `*`, `?` and `[…]`.
pub fn glob(text: &str) -> Result<Pattern, String> {
    Pattern::new(text).map_err(|error| format!("not a glob: {error}"))
}

/// A network, or an address alone.
pub fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse()
        .or_else(|_| address())
        .map_err(|_| "not a network: write it like 10.0.0.0/8 or fd00::/8".into())
}

/// The network namespaces that flags ask for: the own one where there are none.
pub fn namespaces(all: bool, words: Vec<String>) -> Namespaces {
    match words {
        _ if all => Namespaces::Every,
        words if words.is_empty() => Namespaces::Own,
        words => Namespaces::Named(words),
    }
}

/// Whom to ask about Kubernetes.
pub fn kubernetes(text: &str) -> Result<KubernetesSource, String> {
    match text {
        "auto" => Ok(KubernetesSource::Auto),
        "off" => Ok(KubernetesSource::Off),
        "kubelet" => Ok(KubernetesSource::Kubelet),
        "" => Err("expected auto, off, kubelet, or the path of a kubeconfig file".into()),
        path => Ok(KubernetesSource::File(path.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        assert_eq!(age("7d"), Ok(Duration::from_secs(7 * 86_400)));
        assert_eq!(age("1w 2h"), Ok(Duration::from_secs(7 * 86_400 + 7200)));
        for nonsense in ["0s", "-1d", "3mo", "always"] {
            assert!(age(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        for nonsense in ["0s", "-1s", "banana", "", "1", "1h2"] {
            assert!(duration(nonsense).is_err(), "{nonsense}");
        }
        assert!(interval("1ms").is_err() && interval("2m").is_err());
    }

    #[test]
    fn sizes() {
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("4096"), Ok(4096));
        assert!(size("much").is_err() && size("-1").is_err());
    }

    #[test]
    fn networks() {
        assert!(network("10.0.0.0/8").is_ok_and(|net| net.contains(&IpAddr::from([10, 9, 8, 7]))));
        assert_eq!(network("192.0.2.1").map(|net| net.prefix_len()), Ok(32));
        assert_eq!(network("fd00::1").map(|net| net.prefix_len()), Ok(128));
        assert!(network("10.0.0.0/33").is_err() && network("home").is_err());
    }

    #[test]
    fn sources() {
        assert_eq!(kubernetes("auto"), Ok(KubernetesSource::Auto));
        assert_eq!(kubernetes("./kubelet"), Ok(KubernetesSource::File("./kubelet".into())));
        assert!(kubernetes("").is_err());
    }
}
