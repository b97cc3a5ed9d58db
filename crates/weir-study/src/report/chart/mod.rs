//! The charts: what is drawn in each, and its frame.

mod axis;
mod bars;
mod curves;
mod draw;
mod lines;
mod throughput;

use super::markup::{Element, element};
use crate::results::Results;
use bars::Bars;
pub use draw::Layout;
use draw::{cut, label};
use lines::Lines;

/// Colours, light and dark: of the page and of the charts.
pub const PALETTE: &str = include_str!("../style/palette.css");
/// What the shapes of a chart look like.
pub const STYLE: &str = include_str!("../style/chart.css");

/// One chart.
#[derive(Debug)]
pub struct Chart {
    /// Name of its own file.
    pub file: &'static str,
    /// What it shows.
    pub title: String,
    /// How it is to be read: sentences for under the chart.
    pub notes: Vec<String>,
    /// The same figures in words, for those who cannot see it.
    pub words: String,
    drawing: Drawing,
}

#[derive(Debug)]
enum Drawing {
    Bars(Bars),
    Lines(Lines),
}

/// All charts that there are figures for, in the order of the page.
pub fn all(results: &Results) -> Vec<Chart> {
    let curves =
        [curves::cost(results), curves::loss(results), curves::consumer(results), curves::scaling(results)];
    throughput::charts(results).into_iter().chain(curves.into_iter().flatten()).collect()
}

impl Chart {
    /// For the page, which has the styles and the title.
    pub fn inline(&self, layout: Layout) -> Element {
        let (drawn, height) = self.draw(layout);
        self.frame(layout.width(), height).with_all(drawn)
    }

    /// For a file: with styles, title and background of its own.
    pub fn standalone(&self) -> String {
        const MARGIN: f64 = 20.0;
        const TITLE: f64 = 44.0;
        let (drawn, height) = self.draw(Layout::Wide);
        let (width, height) = (Layout::Wide.width() + 2.0 * MARGIN, height + TITLE + 2.0 * MARGIN);
        let frame = self.frame(width, height).set("xmlns", "http://www.w3.org/2000/svg");
        let paper = element("rect").class("paper").set("width", "100%").set("height", "100%");
        let moved = element("g").set("transform", format!("translate({MARGIN} {})", MARGIN + TITLE));
        let chart = frame
            .set("width", width)
            .set("height", height)
            .with(element("style").sheet(PALETTE).sheet(STYLE))
            .with(paper)
            .with(label(MARGIN, MARGIN + 16.0, "title", cut(&self.title, width * 0.8)))
            .with(moved.with_all(drawn));
        format!("{chart}\n")
    }

    fn draw(&self, layout: Layout) -> (Vec<Element>, f64) {
        match &self.drawing {
            Drawing::Bars(bars) => bars.draw(layout),
            Drawing::Lines(lines) => lines.draw(layout),
        }
    }

    fn frame(&self, width: f64, height: f64) -> Element {
        let svg = element("svg").class("chart").set("role", "img");
        svg.set("viewBox", format!("0 0 {} {}", draw::at(width), draw::at(height)))
            .with(element("title").text(&self.title))
            .with(element("desc").text(&self.words))
    }
}
