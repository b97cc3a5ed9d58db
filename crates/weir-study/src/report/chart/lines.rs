//! Lines across a plane, each with its name at its end.

use super::axis::Scale;
use super::draw::{Layout, cut, label, line, marker, path, spread, text_width};
use crate::report::markup::Element;

/// One plane or several under one another, all to the same scales.
#[derive(Debug)]
pub struct Lines {
    /// From left to right.
    pub x: Axis,
    /// From the bottom up.
    pub y: Axis,
    /// The planes.
    pub panels: Vec<Panel>,
}

/// What an edge of a plane stands for.
#[derive(Debug)]
pub struct Axis {
    /// What is measured, and its unit.
    pub title: String,
    /// From where to where.
    pub scale: Scale,
    /// How a tick is written, with as many digits after the point as its scale needs.
    pub text: fn(f64, usize) -> String,
}

/// One plane.
#[derive(Debug)]
pub struct Panel {
    /// What it shows; empty where there is only one.
    pub title: String,
    /// Its lines.
    pub series: Vec<Series>,
}

/// One line.
#[derive(Debug)]
pub struct Series {
    /// What stands at its end.
    pub name: String,
    /// What it looks like.
    pub look: Look,
    /// What was measured; numbers, from left to right.
    pub points: Vec<(f64, f64)>,
    /// A law that was fitted to it.
    pub law: Vec<(f64, f64)>,
}

/// What a line looks like. An arm looks the same in all charts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The arm that the page is about.
    Ours,
    /// Another arm, by its number.
    Other(usize),
    /// Several arms that cannot be told apart.
    Several,
}

impl Look {
    // Five colours and six signs: thirty arms look different, also to those who do not see colours.
    fn class(self) -> String {
        match self {
            Self::Ours => "ours".into(),
            Self::Other(number) => format!("c{}", number % 5),
            Self::Several => "several".into(),
        }
    }

    fn shape(self) -> usize {
        match self {
            Self::Other(number) => number % 6,
            Self::Ours | Self::Several => 0,
        }
    }
}

/// Between two names.
const LINE: f64 = 15.0;

impl Lines {
    /// The drawing, and its height.
    pub fn draw(&self, layout: Layout) -> (Vec<Element>, f64) {
        let mut drawn = Vec::new();
        let mut y = 0.0;
        for panel in &self.panels {
            let plane = Plane::new(self, panel, layout, y);
            plane.draw_axes(panel, &mut drawn);
            plane.draw_series(panel, &mut drawn);
            y = plane.bottom + 50.0;
        }
        (drawn, y - 8.0)
    }
}

/// Where things are.
struct Plane<'a> {
    lines: &'a Lines,
    layout: Layout,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl<'a> Plane<'a> {
    fn new(lines: &'a Lines, panel: &Panel, layout: Layout, y: f64) -> Self {
        let width = layout.width();
        let all = lines.panels.iter().flat_map(|panel| &panel.series);
        let names = all.map(|series| text_width(&series.name)).fold(0.0, f64::max) + 36.0;
        let top = y + if panel.title.is_empty() { 26.0 } else { 48.0 };
        let least = if layout == Layout::Wide { 340.0 } else { 260.0 };
        // Names need room, and lines that are close to one another some more.
        let height = (panel.series.len() as f64 * LINE * 1.5).max(least);
        Self { lines, layout, left: 44.0, right: width - names.min(width * 0.52), top, bottom: top + height }
    }

    fn place(&self, &(x, y): &(f64, f64)) -> (f64, f64) {
        let x = self.left + self.lines.x.scale.place(x) * (self.right - self.left);
        (x, self.bottom - self.lines.y.scale.place(y) * (self.bottom - self.top))
    }

    fn draw_axes(&self, panel: &Panel, drawn: &mut Vec<Element>) {
        let Lines { x, y, .. } = self.lines;
        if !panel.title.is_empty() {
            drawn.push(label(0.0, self.top - 36.0, "panel", cut(&panel.title, self.layout.width())));
        }
        drawn.push(label(0.0, self.top - 12.0, "tick", &y.title));
        let most = ((self.bottom - self.top) / 36.0) as usize;
        let digits = y.scale.digits(most);
        for tick in y.scale.ticks(most) {
            let place = self.bottom - y.scale.place(tick) * (self.bottom - self.top);
            drawn.push(line((self.left, place), (self.right, place), "grid"));
            drawn.push(label(self.left - 6.0, place + 4.0, "tick end", (y.text)(tick, digits)));
        }
        let room = self.right - self.left;
        let most = (room / 46.0) as usize;
        let digits = x.scale.digits(most);
        for tick in x.scale.ticks(most) {
            let place = self.left + x.scale.place(tick) * room;
            drawn.push(line((place, self.bottom), (place, self.bottom + 4.0), "axis"));
            drawn.push(label(place, self.bottom + 17.0, "tick middle", (x.text)(tick, digits)));
        }
        drawn.push(line((self.left, self.bottom), (self.right, self.bottom), "axis"));
        drawn.push(label(self.left, self.bottom + 34.0, "tick", &x.title));
    }

    fn draw_series(&self, panel: &Panel, drawn: &mut Vec<Element>) {
        let mut series: Vec<&Series> =
            panel.series.iter().filter(|series| !series.points.is_empty()).collect();
        // Ours is drawn last, over all others.
        series.sort_by_key(|series| series.look == Look::Ours);
        let ends: Vec<(f64, f64)> = series
            .iter()
            .filter_map(|series| series.law.last().or(series.points.last()))
            .map(|end| self.place(end))
            .collect();
        let heights: Vec<f64> = ends.iter().map(|end| end.1).collect();
        let names = spread(&heights, LINE, self.top + 4.0, self.bottom);
        for ((series, end), name_y) in series.into_iter().zip(ends).zip(names) {
            let (class, shape) = (series.look.class(), series.look.shape());
            let points: Vec<(f64, f64)> = series.points.iter().map(|point| self.place(point)).collect();
            let law: Vec<(f64, f64)> = series.law.iter().map(|point| self.place(point)).collect();
            if !law.is_empty() {
                drawn.push(path(&law, &format!("law {class}")));
            }
            drawn.push(path(&points, &format!("line {class}")));
            drawn.extend(points.iter().map(|&point| marker(shape, point, &format!("marker {class}"))));
            let name_x = self.right + 24.0;
            drawn.push(path(
                &[(end.0 + 5.0, end.1), (self.right + 6.0, end.1), (name_x - 7.0, name_y)],
                "leader",
            ));
            drawn.push(marker(shape, (name_x, name_y), &format!("marker {class}")));
            let name = cut(&series.name, self.layout.width() - name_x - 10.0);
            let class = if series.look == Look::Ours { "name ours" } else { "name" };
            drawn.push(label(name_x + 8.0, name_y + 4.0, class, name));
        }
    }
}
