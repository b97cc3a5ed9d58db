//! The figures that this study repeats: "Using eBPF for network observability in the cloud" (2022),
//! 40 sending cores, a 40 Gbit/s link.

/// What the article measured for one arm, in million packets per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Published {
    /// Our name of the arm that comes nearest.
    pub arm: &'static str,
    /// One flow.
    pub one_flow: f64,
    /// Forty flows, one for each core.
    pub forty_flows: f64,
}

/// The article's figures. Its hashes were those with the redundant update.
pub static ARTICLE: [Published; 7] = [
    Published { arm: "none", one_flow: 4.77, forty_flows: 4.82 },
    Published { arm: "percpu-array", one_flow: 4.61, forty_flows: 4.64 },
    Published { arm: "array", one_flow: 4.18, forty_flows: 4.51 },
    Published { arm: "percpu-hash-published", one_flow: 2.54, forty_flows: 4.3 },
    Published { arm: "ringbuf", one_flow: 1.74, forty_flows: 1.8 },
    Published { arm: "hash-published", one_flow: 1.40, forty_flows: 3.88 },
    Published { arm: "tcpdump", one_flow: 1.6, forty_flows: 1.7 },
];
