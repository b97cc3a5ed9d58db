//! Shapes of SVG, and how much room text takes.

use crate::report::markup::{Element, element};

/// Room of a character of ordinary text, at most on average: readers have other fonts than we.
const CHARACTER: f64 = 6.7;

/// For which screen a chart is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A desktop, or paper.
    Wide,
    /// A phone.
    Narrow,
}

impl Layout {
    /// Units across; on the screen it is made for, one is about a pixel.
    pub fn width(self) -> f64 {
        match self {
            Self::Wide => 920.0,
            Self::Narrow => 360.0,
        }
    }
}

/// Room that text takes, at most.
pub fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * CHARACTER
}

/// Text, cut where it would take more room than that.
pub fn cut(text: &str, room: f64) -> String {
    let most = (room / CHARACTER).floor().max(1.0) as usize;
    if text.chars().count() <= most {
        return text.into();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// A coordinate.
pub fn at(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), String::from)
}

/// Text at a place; the class says which side of it.
pub fn label(x: f64, y: f64, class: &str, text: impl ToString) -> Element {
    element("text").class(class).set("x", at(x)).set("y", at(y)).text(text)
}

/// A straight line.
pub fn line(from: (f64, f64), to: (f64, f64), class: &str) -> Element {
    let from = element("line").class(class).set("x1", at(from.0)).set("y1", at(from.1));
    from.set("x2", at(to.0)).set("y2", at(to.1))
}

/// A rectangle: its corner, and its size.
pub fn rectangle(corner: (f64, f64), size: (f64, f64), class: &str) -> Element {
    let placed = element("rect").class(class).set("x", at(corner.0)).set("y", at(corner.1));
    placed.set("width", at(size.0.max(0.0))).set("height", at(size.1.max(0.0)))
}

/// A line through points.
pub fn path(points: &[(f64, f64)], class: &str) -> Element {
    let points: Vec<String> = points.iter().map(|&(x, y)| format!("{},{}", at(x), at(y))).collect();
    element("polyline").class(class).set("points", points.join(" "))
}

/// One of six signs.
pub fn marker(shape: usize, (x, y): (f64, f64), class: &str) -> Element {
    const R: f64 = 4.0;
    let corners: &[(f64, f64)] = match shape % 6 {
        0 => return element("circle").class(class).set("cx", at(x)).set("cy", at(y)).set("r", at(R)),
        1 => &[(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)],
        2 => &[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
        3 => &[(0.0, -1.2), (1.2, 1.0), (-1.2, 1.0)],
        4 => &[(-1.2, -1.0), (1.2, -1.0), (0.0, 1.2)],
        _ => &[(-1.4, -0.5), (1.4, -0.5), (1.4, 0.5), (-1.4, 0.5)],
    };
    let corners: Vec<String> =
        corners.iter().map(|(dx, dy)| format!("{},{}", at(x + dx * R), at(y + dy * R))).collect();
    element("polygon").class(class).set("points", corners.join(" "))
}

/// Moves places apart so that any two are `gap` from each other, within `from` and `to` where there is room,
/// and as close as may be to where they were. The order stays.
pub fn spread(places: &[f64], gap: f64, from: f64, to: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by(|&a, &b| places[a].total_cmp(&places[b]));
    // Neighbours that touch are a block; a block lies around the middle of where its members want to be.
    let mut blocks: Vec<(Vec<usize>, f64)> = Vec::new();
    let top_of = |members: &[usize]| {
        let wanted = members.iter().enumerate().map(|(n, &one)| places[one] - n as f64 * gap);
        let room = (members.len() - 1) as f64 * gap;
        (wanted.sum::<f64>() / members.len() as f64).min(to - room).max(from)
    };
    for one in order {
        let mut members = vec![one];
        while let Some((before, top)) = blocks.pop() {
            if top + before.len() as f64 * gap <= top_of(&members) {
                blocks.push((before, top));
                break;
            }
            members.splice(0..0, before);
        }
        let top = top_of(&members);
        blocks.push((members, top));
    }
    let mut apart = vec![0.0; places.len()];
    for (members, top) in blocks {
        for (n, one) in members.into_iter().enumerate() {
            apart[one] = top + n as f64 * gap;
        }
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_move_apart_and_stay_inside() {
        assert_eq!(spread(&[10.0, 50.0], 10.0, 0.0, 100.0), [10.0, 50.0]);
        assert_eq!(spread(&[50.0, 50.0, 50.0], 10.0, 0.0, 100.0), [40.0, 50.0, 60.0]);
        assert_eq!(spread(&[100.0, 99.0], 10.0, 0.0, 100.0), [100.0, 90.0]);
        let many = spread(&[3.0; 9], 10.0, 0.0, 100.0);
        assert!(many.windows(2).all(|pair| (pair[1] - pair[0]) >= 10.0));
        assert!(many.iter().all(|place| (0.0..=100.0).contains(place)));
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(cut("percpu-hash", 200.0), "percpu-hash");
        assert_eq!(cut("percpu-hash", 6.0 * CHARACTER), "percp…");
        assert_eq!(at(-3.04), "-3");
        assert_eq!(at(12.34), "12.3");
    }
}
