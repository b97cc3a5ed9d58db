//! OpenTelemetry's signals.

/// What takes one of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Service {
    /// Where it is over HTTP, unless the URL says something else.
    pub path: &'static str,
    /// What is called over gRPC.
    pub method: &'static str,
}

/// What takes metrics.
pub const METRICS: Service = Service {
    path: "/v1/metrics",
    method: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
};

/// What a flow is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// A log record.
    Logs,
    /// A span.
    Traces,
}

impl Signal {
    /// By their names.
    pub const NAMES: [(&'static str, Self); 2] = [("logs", Self::Logs), ("traces", Self::Traces)];

    /// What takes it.
    pub fn service(self) -> &'static Service {
        match self {
            Self::Logs => &Service {
                path: "/v1/logs",
                method: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            },
            Self::Traces => &Service {
                path: "/v1/traces",
                method: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            },
        }
    }
}
