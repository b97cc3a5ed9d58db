//! The page that comes out of a study: `report.html`, and its charts as files of their own.
//!
//! Everything on it is computed from [`Results`]; no I/O and no clock in here, so that the same results make the
//! same page. The page needs nothing but itself: no scripts, no fonts, no pictures from elsewhere.

mod answer;
mod chart;
mod explain;
mod figures;
mod findings;
mod markup;
mod page;
mod scaling;
mod study;
mod tables;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

use crate::results::Results;

/// The page.
pub fn html(results: &Results) -> String {
    format!("<!doctype html>\n{}\n", page::page(results))
}

/// The charts that there are figures for: file name and contents.
pub fn charts(results: &Results) -> Vec<(&'static str, String)> {
    chart::all(results).iter().map(|chart| (chart.file, chart.standalone())).collect()
}
