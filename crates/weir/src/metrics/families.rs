//! Families of metrics, each told at once with all its series.

use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use std::fmt;
use weir_agent::Durations;

/// What tells one series of a family from the others.
pub type Labels = Vec<(&'static str, String)>;

/// What a family is of.
#[derive(Debug, Clone)]
pub struct About {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
}

/// A family whose values have no unit.
pub fn about(name: &'static str, help: &'static str) -> About {
    About { name, help, unit: None }
}

impl About {
    /// The same with a unit, which the name ends with.
    pub fn of(self, unit: Unit) -> Self {
        Self { unit: Some(unit), ..self }
    }
}

/// Packets are no unit that the library knows.
pub fn packets() -> Unit {
    Unit::Other("packets".into())
}

/// Takes families.
#[derive(Debug)]
pub struct Families<'e>(pub DescriptorEncoder<'e>);

impl Families<'_> {
    /// What only grows while the agent runs.
    pub fn counter<V: EncodeCounterValue>(
        &mut self,
        about: About,
        series: impl IntoIterator<Item = (Labels, V)>,
    ) -> fmt::Result {
        let About { name, help, unit } = about;
        let mut family = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
        for (labels, value) in series {
            match labels[..] {
                [] => family.encode_counter::<Labels, V, u64>(&value, None)?,
                _ => family.encode_family(&labels)?.encode_counter::<Labels, V, u64>(&value, None)?,
            }
        }
        Ok(())
    }

    /// How long things took.
    pub fn histogram(
        &mut self,
        about: About,
        series: impl IntoIterator<Item = (Labels, Durations)>,
    ) -> fmt::Result {
        let About { name, help, unit } = about;
        let mut family = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Histogram)?;
        for (labels, durations) in series {
            let sum = durations.sum_microseconds as f64 / 1e6;
            let (count, classes) = (durations.count(), durations.classes().collect::<Vec<_>>());
            match labels[..] {
                [] => family.encode_histogram::<Labels>(sum, count, &classes, None)?,
                _ => family.encode_family(&labels)?.encode_histogram::<Labels>(sum, count, &classes, None)?,
            }
        }
        Ok(())
    }

    /// What is so at this moment.
    pub fn gauge<V: EncodeGaugeValue>(
        &mut self,
        about: About,
        series: impl IntoIterator<Item = (Labels, V)>,
    ) -> fmt::Result {
        let About { name, help, unit } = about;
        let mut family = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in series {
            match labels[..] {
                [] => family.encode_gauge(&value)?,
                _ => family.encode_family(&labels)?.encode_gauge(&value)?,
            }
        }
        Ok(())
    }
}

/// A family of one series.
pub fn one<V>(value: V) -> [(Labels, V); 1] {
    [(Labels::new(), value)]
}
