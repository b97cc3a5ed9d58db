//! Which columns there is room for.

use super::group::{Group, Sort};

/// What gives way where there is no room for all, first to last.
pub const GIVING_WAY: [&str; 6] = ["PKT/S", "WHERE", "FAIL", "RETR", "RTT", "FLOWS"];

/// A column: its title, its width, what sorts by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub title: &'static str,
    pub width: u16,
    pub sort: Option<Sort>,
    /// Which cell of a line it shows; none is its past.
    pub cell: Option<usize>,
}

/// The curve of a row's past. It takes what is left, and goes where that is less than it has use for.
const HISTORY: &str = "HISTORY";
const LEAST_HISTORY: u16 = 4;
const MOST_HISTORY: u16 = 60;
const MOST_WHERE: u16 = 30;

/// In the order of cells.
const ROWS: [(&str, u16, Option<Sort>); 11] = [
    ("NAME", 15, Some(Sort::Name)),
    ("PID", 7, Some(Sort::Pid)),
    ("WHERE", 8, None),
    ("FLOWS", 5, Some(Sort::Flows)),
    ("IN/S", 7, Some(Sort::In)),
    ("OUT/S", 7, Some(Sort::Out)),
    ("PKT/S", 6, Some(Sort::Packets)),
    ("TOTAL", 9, Some(Sort::Total)),
    ("RTT", 7, Some(Sort::Rtt)),
    ("RETR", 5, Some(Sort::Retransmitted)),
    ("FAIL", 5, Some(Sort::Failed)),
];
const CONVERSATIONS: [(&str, u16, Option<Sort>); 9] = [
    ("PROTO", 8, None),
    ("SOURCE", 15, None),
    ("DESTINATION", 15, None),
    ("STATE", 11, None),
    ("FORTH/S", 7, None),
    ("BACK/S", 7, None),
    ("TOTAL", 9, None),
    ("RTT", 7, None),
    ("RETR", 5, None),
];

fn columns<const N: usize>(all: &[(&'static str, u16, Option<Sort>); N]) -> Vec<Column> {
    let column = |(cell, &(title, width, sort))| Column { title, width, sort, cell: Some(cell) };
    all.iter().enumerate().map(column).collect()
}

/// How much columns take with a space between any two.
fn total(columns: &[Column]) -> u16 {
    columns.iter().map(|column| column.width + 1).sum::<u16>().saturating_sub(1)
}

/// Leaves out what gives way; what the rows are in the order of stays.
fn narrow(columns: &mut Vec<Column>, width: u16, giving_way: &[&str], sort: Option<Sort>) {
    for title in giving_way {
        if total(columns) > width {
            columns.retain(|column| column.title != *title || sort.is_some() && column.sort == sort);
        }
    }
}

/// The columns of rows.
pub fn of_rows(group: Group, sort: Sort, width: u16) -> Vec<Column> {
    let mut columns = columns(&ROWS);
    // Only processes have numbers: others have that room for longer names.
    if group != Group::Process {
        columns[0].width += columns[1].width + 1;
        columns.remove(1);
    }
    narrow(&mut columns, width, &GIVING_WAY, Some(sort));
    let mut left = width.saturating_sub(total(&columns));
    if let Some(place) = columns.iter_mut().find(|column| column.title == "WHERE") {
        let more = (left / 2).min(MOST_WHERE - place.width);
        place.width += more;
        left -= more;
    }
    if left > LEAST_HISTORY {
        let width = (left - 1).min(MOST_HISTORY);
        columns.push(Column { title: HISTORY, width, sort: None, cell: None });
    }
    columns
}

/// The columns of the conversations of a row.
pub fn of_conversations(width: u16) -> Vec<Column> {
    let mut columns = columns(&CONVERSATIONS);
    narrow(&mut columns, width, &["STATE", "RETR", "RTT"], None);
    let left = width.saturating_sub(total(&columns)) / 2;
    columns[1..3].iter_mut().for_each(|end| end.width += left);
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(columns: &[Column]) -> Vec<&'static str> {
        columns.iter().map(|column| column.title).collect()
    }

    #[test]
    fn columns_give_way_in_their_order() {
        let shown = |width| titles(&of_rows(Group::Process, Sort::Rate, width));
        let all = [
            "NAME", "PID", "WHERE", "FLOWS", "IN/S", "OUT/S", "PKT/S", "TOTAL", "RTT", "RETR", "FAIL",
            "HISTORY",
        ];
        assert_eq!(shown(200), all);
        assert_eq!(shown(100), all);
        let without =
            |gone: &[&str]| all.into_iter().filter(|title| !gone.contains(title)).collect::<Vec<_>>();
        assert_eq!(shown(80), without(&["PKT/S", "WHERE"]));
        assert_eq!(shown(72), without(&["PKT/S", "WHERE", "FAIL", "HISTORY"]));
        assert_eq!(shown(60), ["NAME", "PID", "FLOWS", "IN/S", "OUT/S", "TOTAL", "HISTORY"]);
        assert!((50..200).all(|width| total(&of_rows(Group::Process, Sort::Rate, width)) <= width));
        assert!((78..200).all(|width| total(&of_conversations(width)) <= width));
    }

    #[test]
    fn what_rows_are_sorted_by_stays() {
        let sorted = titles(&of_rows(Group::Process, Sort::Packets, 80));
        assert!(sorted.contains(&"PKT/S") && !sorted.contains(&"FAIL"), "{sorted:?}");
        assert!(titles(&of_rows(Group::Destination, Sort::Failed, 60)).contains(&"FAIL"));
    }
}
