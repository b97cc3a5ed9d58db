//! What `ss -tin` says of one connection, and what a record has to say of it then.

use crate::netns::Namespace;
use serde_json::Value;

/// `name:value` and `name value`, as it prints them.
pub struct Ss(String);

impl Ss {
    /// Of the connection that fits, such as `dport = :80`.
    pub fn of(namespace: &Namespace, filter: &str) -> Self {
        let said =
            Self(namespace.run("ss", &["-tinHO", "state", "connected", "exclude", "time-wait", filter]));
        assert_eq!(said.0.lines().count(), 1, "{filter}: {}", said.0);
        said
    }

    fn word(&self, name: &str) -> Option<&str> {
        self.0.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix(':'))
    }

    /// 0 where it says nothing, as it does of what is 0.
    pub fn number(&self, name: &str) -> u64 {
        self.word(name).map_or(0, |number| number.parse().unwrap_or_else(|_| panic!("{name}: {}", self.0)))
    }

    /// In microseconds, of `1.234` milliseconds, or of `20ms`.
    fn time(&self, name: &str, part: usize) -> u64 {
        let Some(word) = self.word(name) else { return 0 };
        let text = word.split(['/', '(']).nth(part).expect("a part").trim_end_matches("ms");
        (text.parse::<f64>().unwrap_or_else(|_| panic!("{name}: {}", self.0)) * 1e3).round() as u64
    }

    /// Segments that were sent again, since the beginning.
    pub fn sent_again(&self) -> u64 {
        let all = |word: &str| word.split('/').nth(1).and_then(|all| all.parse().ok()).expect("a number");
        self.word("retrans").map_or(0, all)
    }

    /// Every number that both have of this end, `source` or `destination`, of a connection that has come to rest.
    pub fn assert_agrees(&self, record: &Value, end: &str) {
        let of = |name: &str| record[format!("{end}_tcp_{name}")].as_u64().unwrap_or(0);
        let counts = [
            ("bytes_sent", self.number("bytes_sent")),
            ("bytes_acknowledged", self.number("bytes_acked")),
            ("bytes_received", self.number("bytes_received")),
            ("retransmitted_bytes", self.number("bytes_retrans")),
            ("retransmitted_segments", self.sent_again()),
            ("reordered", self.number("reord_seen")),
            ("congestion_window", self.number("cwnd")),
            ("slow_start_threshold", self.number("ssthresh")),
        ];
        for (name, ss_says) in counts {
            assert_eq!(of(name), ss_says, "{end} {name}: {}", self.0);
        }
        let times = [
            ("rtt", self.time("rtt", 0)),
            ("rtt_variance", self.time("rtt", 1)),
            ("min_rtt", self.time("minrtt", 0)),
            ("busy_time", self.time("busy", 0)),
            ("receive_window_limited_time", self.time("rwnd_limited", 0)),
            ("send_buffer_limited_time", self.time("sndbuf_limited", 0)),
        ];
        for (name, ss_says) in times {
            // ss rounds to microseconds, and to three digits.
            let apart = of(name).abs_diff(ss_says);
            let rounded = 1.max(ss_says / 1000);
            assert!(apart <= rounded, "{end} {name}: {}, not {ss_says}: {}", of(name), self.0);
        }
    }
}
