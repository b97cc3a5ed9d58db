//! What was read for an answer, and what could be passed over.

use crate::history::History;
use crate::segments::label;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::metrics::{Metric, MetricValue};
use datafusion::physical_plan::{ExecutionPlan, displayable};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What was read for an answer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    /// Rows of the answer.
    pub rows: usize,
    /// How long it took.
    pub took: Duration,
    /// Bytes that did not find room in memory and went through temporary files.
    pub spilled_bytes: usize,
    /// The tables that were named.
    pub tables: Vec<TableReport>,
    /// How it was done, in DataFusion's words.
    pub plan: String,
    /// What could not be read: the answer is without it.
    pub damaged: Vec<String>,
}

/// What was read of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableReport {
    /// Its name.
    pub name: String,
    /// Its segments, in order of time.
    pub segments: Vec<SegmentReport>,
    /// Records in logs: all of them are looked at.
    pub recent: usize,
}

/// What became of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentReport {
    /// Its path in the directory.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// What was done with it.
    pub fate: Fate,
}

/// What was done with a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// Its name says that no record in it is of the time that is asked for.
    Skipped,
    /// The answer was whole without it.
    NotNeeded,
    /// It was opened, and says of itself that nothing in it matches.
    RuledOut {
        /// Row groups that are out by the smallest and largest values in them.
        by_statistics: usize,
        /// By what their bloom filters have.
        by_bloom_filter: usize,
        /// Bytes read to know that.
        bytes: usize,
    },
    /// Some of it was read.
    Read {
        /// Row groups that were read.
        groups: usize,
        /// Row groups that there are.
        of: usize,
        /// Bytes that were read.
        bytes: usize,
    },
}

/// What is counted of a file.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    kept_by_statistics: usize,
    out_by_statistics: usize,
    out_by_bloom_filter: usize,
    bytes: usize,
}

impl Report {
    /// Of a plan that has run.
    pub(crate) fn of(plan: &Arc<dyn ExecutionPlan>, tables: &[Arc<History>]) -> Self {
        let (mut files, mut spilled_bytes) = (BTreeMap::new(), 0);
        count(plan, &mut files, &mut spilled_bytes);
        Self {
            spilled_bytes,
            tables: tables.iter().map(|table| of_table(table, &files)).collect(),
            plan: displayable(plan.as_ref()).indent(false).to_string(),
            damaged: tables.iter().flat_map(|table| table.trouble()).collect(),
            ..Self::default()
        }
    }

    /// Adds what is wrong with segments, each once.
    pub(crate) fn without(&mut self, left_out: &BTreeMap<PathBuf, String>) {
        self.damaged.extend(left_out.values().cloned());
    }
}

fn count(plan: &Arc<dyn ExecutionPlan>, files: &mut BTreeMap<String, Counted>, spilled: &mut usize) {
    let metrics = plan.metrics().unwrap_or_default();
    *spilled += metrics.spilled_bytes().unwrap_or_default();
    if plan.downcast_ref::<DataSourceExec>().is_some() {
        metrics.iter().for_each(|metric| count_file(metric, files));
    }
    plan.children().into_iter().for_each(|child| count(child, files, spilled));
}

fn count_file(metric: &Metric, files: &mut BTreeMap<String, Counted>) {
    let Some(name) = metric.labels().iter().find(|label| label.name() == "filename") else { return };
    let counted = files.entry(name.value().to_owned()).or_default();
    match metric.value() {
        MetricValue::PruningMetrics { name, pruning_metrics: of } => match &**name {
            "row_groups_pruned_statistics" => {
                counted.kept_by_statistics += of.matched();
                counted.out_by_statistics += of.pruned();
            }
            "row_groups_pruned_bloom_filter" => counted.out_by_bloom_filter += of.pruned(),
            _ => {}
        },
        value if value.name() == "bytes_scanned" => counted.bytes += value.as_usize(),
        _ => {}
    }
}

fn of_table(history: &History, files: &BTreeMap<String, Counted>) -> TableReport {
    let segments = history.segments().iter().map(|segment| {
        let name = label(history.table, segment);
        let unread = if history.is_skipped(segment) { Fate::Skipped } else { Fate::NotNeeded };
        let fate = files.get(&name).map_or(unread, |counted| fate(*counted));
        SegmentReport { fate, bytes: segment.bytes, name }
    });
    TableReport {
        name: history.table.name.into(),
        segments: segments.collect(),
        recent: history.recent_rows(),
    }
}

fn fate(counted: Counted) -> Fate {
    let Counted { kept_by_statistics, out_by_statistics, out_by_bloom_filter, bytes } = counted;
    let groups = kept_by_statistics.saturating_sub(out_by_bloom_filter);
    match (groups, bytes) {
        (0, 0) if out_by_statistics + out_by_bloom_filter == 0 => Fate::NotNeeded,
        (0, _) => {
            Fate::RuledOut { by_statistics: out_by_statistics, by_bloom_filter: out_by_bloom_filter, bytes }
        }
        (groups, _) => Fate::Read { groups, of: kept_by_statistics + out_by_statistics, bytes },
    }
}
