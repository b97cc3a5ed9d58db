//! What came of an import, for people: exact numbers, since they are compared with those of others.

use crate::history::day_and_time;
use jiff::Zoned;
use std::path::Path;
use weir_import::Report;
use weir_record::Count;

/// What came of a file.
pub fn print(file: &str, report: &Report) {
    let times = report.times.map_or_else(String::new, between);
    let format = report.format.as_str();
    anstream::println!("{file} ({format}): {}{times}", records(report.records, report.recorded));
    for (cause, left_out) in &report.left_out {
        let count = left_out.count;
        let bytes = if count.bytes > 0 { format!(", {} bytes", count.bytes) } else { String::new() };
        anstream::println!("  not understood: {} {cause}{bytes}", left_out.number);
    }
    if let Some(broken) = &report.broken {
        anstream::println!("  not whole: {broken}; what comes before is kept");
    }
}

/// What came of all, and where it is.
pub fn print_sum(reports: &[Report], directory: &Path) {
    let shown = directory.display();
    let sum = reports.iter().fold((0, Count::default()), |(number, mut count), report| {
        count.packets = count.packets.saturating_add(report.recorded.packets);
        count.bytes = count.bytes.saturating_add(report.recorded.bytes);
        (number + report.records, count)
    });
    if sum.0 == 0 {
        return anstream::println!("nothing was imported into {shown}");
    }
    if reports.len() > 1 {
        anstream::println!("{} files: {}", reports.len(), records(sum.0, sum.1));
    }
    anstream::println!("kept in {shown}: weir flows --data-dir {shown} --all");
}

fn records(number: u64, count: Count) -> String {
    let of = |number: u64, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
    [of(number, "record"), of(count.packets, "packet"), of(count.bytes, "byte")].join(", ")
}

fn between((start, end): (u64, u64)) -> String {
    let now = Zoned::now();
    format!(", {} to {}", day_and_time(start, &now), day_and_time(end, &now))
}
