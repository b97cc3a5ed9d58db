//! A bar for each arm, with its interval, and the article's figure under it.

use super::axis::Scale;
use super::draw::{Layout, cut, label, line, rectangle, text_width};
use crate::report::figures;
use crate::report::markup::Element;

/// Bars, from the top down.
#[derive(Debug)]
pub struct Bars {
    /// What 1 stands for.
    pub reference: String,
    /// Whose figures stand under ours.
    pub article: String,
    /// The bars.
    pub rows: Vec<Bar>,
}

/// One bar.
#[derive(Debug)]
pub struct Bar {
    /// The arm.
    pub name: String,
    /// Whether it is the arm that the page is about.
    pub is_ours: bool,
    /// The value and its interval; none where it was not measured.
    pub own: Option<Interval>,
    /// How much was lost, if anything was.
    pub lost: Option<String>,
    /// The article's value.
    pub article: Option<f64>,
}

/// A value, and between which bounds it is likely to be.
#[derive(Debug, Clone, Copy)]
pub struct Interval {
    /// The value.
    pub value: f64,
    /// Its lower bound.
    pub low: f64,
    /// Its upper bound.
    pub high: f64,
}

impl Interval {
    /// None if the value is no number; bounds that are none are the value itself.
    pub fn new(value: f64, low: f64, high: f64) -> Option<Self> {
        let or_value = |bound: f64| if bound.is_finite() { bound } else { value };
        value.is_finite().then(|| Self { value, low: or_value(low), high: or_value(high) })
    }
}

const BAR: f64 = 15.0;
const ARTICLE: f64 = 7.0;

impl Bars {
    /// The drawing, and its height.
    pub fn draw(&self, layout: Layout) -> (Vec<Element>, f64) {
        let frame = Frame::new(self, layout);
        let mut drawn = Vec::new();
        let top = self.legend(layout, &mut drawn) + 22.0;
        let bottom = top + self.rows.iter().map(Bar::room).sum::<f64>();
        for tick in frame.scale.ticks(if layout == Layout::Wide { 10 } else { 4 }) {
            let x = frame.x(tick);
            drawn.push(line((x, top - 4.0), (x, bottom), if tick == 1.0 { "axis" } else { "grid" }));
            drawn.push(label(x, bottom + 15.0, "tick middle", figures::number(tick, 1)));
        }
        let x = frame.x(1.0);
        drawn.push(line((x, top - 4.0), (x, bottom), "axis"));
        let half = (text_width(&self.reference) / 2.0).min(layout.width() - x);
        drawn.push(label(x + half, top - 9.0, "tick end", &self.reference));
        let mut y = top;
        for row in &self.rows {
            row.draw(&frame, y, &mut drawn);
            y += row.room();
        }
        (drawn, bottom + 24.0)
    }

    /// What the signs mean, in lines that fit the width; returns where they end.
    fn legend(&self, layout: Layout, drawn: &mut Vec<Element>) -> f64 {
        let mut items = vec![("bar", "this host, with 95 % interval".to_string())];
        if self.rows.iter().any(|row| row.lost.is_some()) {
            items.push(("bar lossy", "this host, packets lost".into()));
        }
        if self.rows.iter().any(|row| row.article.is_some()) {
            items.push(("bar article", self.article.clone()));
        }
        let (mut x, mut y) = (0.0, 12.0);
        for (class, text) in items {
            let room = 28.0 + text_width(&text);
            if x > 0.0 && x + room > layout.width() {
                (x, y) = (0.0, y + 18.0);
            }
            drawn.push(rectangle((x + 1.0, y - 9.0), (16.0, 9.0), class));
            drawn.push(label(x + 23.0, y, "legend", text));
            x += room + 8.0;
        }
        y
    }
}

/// Where things are.
struct Frame {
    layout: Layout,
    left: f64,
    right: f64,
    scale: Scale,
}

impl Frame {
    fn new(bars: &Bars, layout: Layout) -> Self {
        let width = layout.width();
        let name = bars.rows.iter().map(|row| text_width(&row.name)).fold(0.0, f64::max) + 10.0;
        let values = if layout == Layout::Wide { 150.0 } else { 46.0 };
        let all = bars.rows.iter().flat_map(|row| [row.own.map(|own| own.high), row.article]).flatten();
        let scale = Scale::linear(all.chain([1.0]));
        Self { layout, left: name.min(width * 0.42), right: width - values, scale }
    }

    fn x(&self, value: f64) -> f64 {
        self.left + self.scale.place(value) * (self.right - self.left)
    }
}

impl Bar {
    fn room(&self) -> f64 {
        if self.article.is_some() { BAR + ARTICLE + 12.0 } else { BAR + 8.0 }
    }

    fn draw(&self, frame: &Frame, y: f64, drawn: &mut Vec<Element>) {
        let text_y = y + BAR - 3.5;
        let class = if self.is_ours { "name end ours" } else { "name end" };
        drawn.push(label(frame.left - 8.0, text_y, class, cut(&self.name, frame.left - 8.0)));
        match self.own {
            Some(own) => self.draw_own(own, frame, y, drawn),
            None => drawn.push(label(frame.left + 5.0, text_y, "small", "not measured here")),
        }
        if let Some(article) = self.article {
            let (x, y) = (frame.left, y + BAR + 1.0);
            drawn.push(rectangle((x, y), (frame.x(article) - x, ARTICLE), "bar article"));
            let whose = if frame.layout == Layout::Wide { "article " } else { "" };
            let text = format!("{whose}{}", figures::number(article, 2));
            drawn.push(label(frame.right + 8.0, y + ARTICLE + 2.5, "small", text));
        }
    }

    fn draw_own(&self, own: Interval, frame: &Frame, y: f64, drawn: &mut Vec<Element>) {
        let (x, end) = (frame.left, frame.x(own.value));
        let class = match (self.is_ours, self.lost.is_some()) {
            (_, true) => "bar lossy",
            (true, false) => "bar ours",
            (false, false) => "bar",
        };
        drawn.push(rectangle((x, y), (end - x, BAR), class));
        let (low, high, middle) = (frame.x(own.low), frame.x(own.high), y + BAR / 2.0);
        drawn.push(line((low, middle), (high, middle), "whisker"));
        for bound in [low, high] {
            drawn.push(line((bound, middle - 3.5), (bound, middle + 3.5), "whisker"));
        }
        let mut text = figures::number(own.value, if frame.layout == Layout::Wide { 3 } else { 2 });
        if frame.layout == Layout::Wide {
            text += &format!(" ({}–{})", figures::ratio(own.low), figures::ratio(own.high));
        }
        drawn.push(label(frame.right + 8.0, y + BAR - 3.5, "value", text));
        if let Some(lost) = &self.lost {
            // Inside the hollow bar where it fits, else behind its whisker.
            let fits = text_width(lost) + 14.0 < low - x;
            let place = if fits { x + 6.0 } else { end.max(high) + 6.0 };
            drawn.push(label(place, y + BAR - 3.5, "lost", lost));
        }
    }
}
