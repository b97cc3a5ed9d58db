//! Figures as people read them, and as programs do.

use crate::spread::Spread;
use serde_json::{Value, json};

/// What the project has set itself.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Target {
    fn met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }

    fn verdict(self, value: f64) -> String {
        let met = if self.met_by(value) { "met" } else { "NOT MET" };
        match self {
            Self::AtMost(limit) => format!("target ≤ {limit}: {met}"),
            Self::AtLeast(limit) => format!("target ≥ {limit}: {met}"),
        }
    }
}

/// One arm of a benchmark.
#[derive(Debug)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// In the unit of the table.
    pub value: Spread,
    /// To the arm that the table names, round by round.
    pub ratio: Option<Spread>,
    /// Of the ratio where there is one, else of the value.
    pub target: Option<Target>,
}

impl Row {
    fn judged(&self) -> f64 {
        self.ratio.unwrap_or(self.value).median
    }
}

/// One benchmark.
#[derive(Debug)]
pub struct Table {
    /// What it is about.
    pub title: String,
    /// The unit of the values, and how they were measured.
    pub unit: String,
    /// Digits after the point of a value.
    pub digits: usize,
    /// The arms.
    pub rows: Vec<Row>,
    /// What must be known to read the figures right.
    pub notes: Vec<String>,
}

impl Table {
    fn print(&self) {
        println!("\n{}: {}", self.title, self.unit);
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        for row in &self.rows {
            let ratio = row.ratio.map_or(String::new(), |ratio| format!("ratio {ratio:.3}"));
            let mean = row.ratio.map_or(String::new(), mean_and_error);
            let verdict = row.target.map_or(String::new(), |target| target.verdict(row.judged()));
            let digits = self.digits;
            let line =
                format!("  {:width$}  {:.digits$}  {ratio:30}  {mean:18}  {verdict}", row.name, row.value);
            println!("{}", line.trim_end());
        }
        for note in &self.notes {
            println!("  {note}");
        }
    }

    fn to_json(&self) -> Value {
        let spread = |s: Spread| json!({ "median": s.median, "min": s.least, "max": s.greatest, "mean": s.mean, "error": s.error });
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let (least, most) = match row.target {
                    Some(Target::AtLeast(limit)) => (Some(limit), None),
                    Some(Target::AtMost(limit)) => (None, Some(limit)),
                    None => (None, None),
                };
                json!({
                    "name": row.name,
                    "value": spread(row.value),
                    "ratio": row.ratio.map(spread),
                    "target_at_least": least,
                    "target_at_most": most,
                    "met": row.target.map(|target| target.met_by(row.judged())),
                })
            })
            .collect();
        json!({ "title": self.title, "unit": self.unit, "rows": rows, "notes": self.notes })
    }
}

/// `mean 0.953 ± 0.004`: how far apart two arms must be to be told apart.
fn mean_and_error(Spread { mean, error, .. }: Spread) -> String {
    error.map_or(String::new(), |error| format!("mean {mean:.3} ± {error:.3}"))
}

/// All benchmarks of one run. Each is printed as soon as it is there.
#[derive(Debug)]
pub struct Report {
    machine: String,
    tables: Vec<Table>,
}

impl Report {
    /// On the machine so described.
    pub fn new(machine: String) -> Self {
        println!("{machine}\nMedian (least–greatest) of interleaved rounds, mean ± its standard error.");
        Self { machine, tables: Vec::new() }
    }

    /// Prints the table and keeps it.
    pub fn add(&mut self, table: Table) {
        table.print();
        self.tables.push(table);
    }

    /// Everything so far.
    pub fn to_json(&self) -> Value {
        let tables: Vec<Value> = self.tables.iter().map(Table::to_json).collect();
        json!({ "machine": self.machine, "benchmarks": tables })
    }
}
