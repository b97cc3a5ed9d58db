//! Counters that the kernel shows as text.

use super::{Name, Values};
use weir_record::DropSource;

/// Of TcpExt: what the queues of sockets that listen had no room for. The first ones are among the second ones.
const LISTEN_QUEUES: [&str; 3] = ["ListenOverflows", "ListenDrops", "TCPReqQFullDrop"];
/// Of conntrack: what was not tracked, and dropped therefore; and what had to give way to others.
const CONNTRACK: [&str; 3] = ["insert_failed", "drop", "early_drop"];

/// /proc/net/netstat: a line of names, a line of numbers.
pub fn listen_queues(text: &str, values: &mut Values) {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let (Some(names), Some(numbers)) = (lines.next(), lines.next()) else { return };
    for (name, number) in names.split_ascii_whitespace().zip(numbers.split_ascii_whitespace()) {
        let known = LISTEN_QUEUES.into_iter().find(|known| *known == name);
        if let Some((name, number)) = known.zip(number.parse().ok()) {
            values.insert(Name::of_namespace(DropSource::ListenQueue, name), number);
        }
    }
}

/// /proc/net/stat/nf_conntrack: a line of names, a line of numbers for each CPU, hexadecimal.
pub fn conntrack(text: &str, values: &mut Values) {
    let mut lines = text.lines();
    let names: Vec<_> = lines.next().unwrap_or_default().split_ascii_whitespace().collect();
    for line in lines {
        for (name, number) in names.iter().zip(line.split_ascii_whitespace()) {
            let known = CONNTRACK.into_iter().find(|known| known == name);
            if let Some((name, number)) = known.zip(u64::from_str_radix(number, 16).ok()) {
                *values.entry(Name::of_namespace(DropSource::Conntrack, name)).or_default() += number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(read: fn(&str, &mut Values), text: &str) -> Vec<(String, u64)> {
        let mut values = Values::new();
        read(text, &mut values);
        values.into_iter().map(|(name, value)| (name.word.to_string(), value)).collect()
    }

    #[test]
    fn names_and_numbers_lie_in_lines_of_their_own() {
        let text = "TcpExt: SyncookiesSent ListenOverflows Other ListenDrops\nTcpExt: 1 20 3 40\nIpExt: ListenDrops\nIpExt: 9\n";
        assert_eq!(said(listen_queues, text), [("ListenDrops".into(), 40), ("ListenOverflows".into(), 20)]);
        assert_eq!(said(listen_queues, "TcpExt: ListenDrops\n"), []);
    }

    #[test]
    fn conntrack_counts_for_each_cpu() {
        let text = "entries  found insert_failed drop early_drop\n0000000a 00000001 00000002 0000000f 00000000\n0000000a 00000001 00000002 00000001 00000010\n";
        let expected = [("drop".into(), 16), ("early_drop".into(), 16), ("insert_failed".into(), 4)];
        assert_eq!(said(conntrack, text), expected);
        assert_eq!(said(conntrack, ""), []);
    }
}
