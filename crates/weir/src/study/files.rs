//! The files that a study leaves.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use weir_study::recommend::tuned_yaml;
use weir_study::report;
use weir_study::results::{Machine, Recommendation, Results, csv};

/// Where they go.
pub struct Directory(PathBuf);

const RESULTS: &str = "results.json";
const TUNED: &str = "tuned.yaml";

impl Directory {
    /// Makes it where it is not there, and sees whether it can be written to: before hours are spent.
    pub fn create(path: &Path) -> Result<Self> {
        let failed = || format!("cannot write to {}", path.display());
        fs::create_dir_all(path).with_context(failed)?;
        let probe = path.join(".weir");
        fs::write(&probe, "weir\n").with_context(failed)?;
        fs::remove_file(&probe).with_context(failed)?;
        Ok(Self(path.into()))
    }

    /// Nothing was begun that would be worth a directory.
    pub fn remove_if_empty(&self) {
        let _ = fs::remove_dir(&self.0);
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What has been found so far, for the case that nothing more comes.
    pub fn write_partial(&self, results: &Results) -> Result<()> {
        let mut so_far = results.clone();
        so_far.partial = Some("it was still running when this was written".into());
        self.write_results(&so_far)
    }

    /// Everything.
    pub fn write(&self, results: &Results) -> Result<()> {
        self.write_results(results)?;
        self.put("results.csv", &csv(results))?;
        self.put("report.html", &report::html(results))?;
        for (name, chart) in report::charts(results) {
            self.put(name, &chart)?;
        }
        if let Some(recommendation) = &results.recommendation {
            self.write_tuned(recommendation, &results.machine, &results.started)?;
        }
        Ok(())
    }

    /// The settings alone.
    pub fn write_tuned(
        &self,
        recommendation: &Recommendation,
        machine: &Machine,
        date: &str,
    ) -> Result<PathBuf> {
        self.put(TUNED, &tuned_yaml(recommendation, machine, date))?;
        Ok(self.0.join(TUNED))
    }

    fn write_results(&self, results: &Results) -> Result<()> {
        self.put(RESULTS, &(serde_json::to_string_pretty(results)? + "\n"))
    }

    /// Whole or not at all: what was there before stays where the new one finds no room.
    fn put(&self, name: &str, text: &str) -> Result<()> {
        let (path, new) = (self.0.join(name), self.0.join(format!(".{name}.new")));
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &path));
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written.with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_leaves_what_was_there() {
        let path = std::env::temp_dir().join(format!("weir-study-files-{}", std::process::id()));
        let directory = Directory::create(&path).expect("it can be made");
        directory.put("results.csv", "first").expect("there is room");
        // A directory in the new file's place: writing fails as it does on a full disk.
        fs::create_dir(path.join(".results.csv.new")).expect("it can be made");
        let error = directory.put("results.csv", "second").expect_err("it cannot be written");
        assert!(error.to_string().starts_with("cannot write "), "{error}");
        assert_eq!(fs::read_to_string(path.join("results.csv")).expect("it is there"), "first");
        fs::remove_dir_all(&path).expect("it is ours");
    }
}
