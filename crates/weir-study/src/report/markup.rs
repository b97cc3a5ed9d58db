//! Markup as a tree: what it makes is well-formed, and text from outside cannot become anything but text.

use std::fmt;

/// An element of HTML or SVG.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    children: Vec<Child>,
}

#[derive(Debug, Clone, PartialEq)]
enum Child {
    Element(Element),
    Text(String),
    Sheet(&'static str),
}

/// Elements of HTML that have no end tag.
const VOID: [&str; 2] = ["meta", "br"];

/// An element without attributes and content.
pub fn element(name: &'static str) -> Element {
    Element { name, attributes: Vec::new(), children: Vec::new() }
}

impl Element {
    /// Sets an attribute that is not set yet.
    pub fn set(mut self, attribute: &'static str, value: impl ToString) -> Self {
        self.attributes.push((attribute, value.to_string()));
        self
    }

    /// Sets the class.
    pub fn class(self, class: impl ToString) -> Self {
        self.set("class", class)
    }

    /// Appends an element.
    pub fn with(mut self, child: Element) -> Self {
        self.children.push(Child::Element(child));
        self
    }

    /// Appends elements.
    pub fn with_all(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.children.extend(children.into_iter().map(Child::Element));
        self
    }

    /// Appends text, as it is.
    pub fn text(mut self, text: impl ToString) -> Self {
        self.children.push(Child::Text(text.to_string()));
        self
    }

    /// Appends a sentence; what stands between two backticks is code.
    pub fn prose(mut self, sentence: &str) -> Self {
        let mut rest = sentence;
        while let Some((before, after)) = rest.split_once('`') {
            let Some((code, after)) = after.split_once('`') else { break };
            self = self.text(before).with(element("code").text(code));
            rest = after;
        }
        self.text(rest)
    }

    /// Appends a style sheet of ours. Sheets are not escaped: they contain neither `<` nor `&`.
    pub fn sheet(mut self, sheet: &'static str) -> Self {
        self.children.push(Child::Sheet(sheet));
        self
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}", self.name)?;
        for (attribute, value) in &self.attributes {
            write!(f, " {attribute}=\"{}\"", Escaped(value))?;
        }
        if VOID.contains(&self.name) {
            return f.write_str("/>");
        }
        f.write_str(">")?;
        for child in &self.children {
            match child {
                Child::Element(element) => write!(f, "{element}")?,
                Child::Text(text) => write!(f, "{}", Escaped(text))?,
                Child::Sheet(sheet) => f.write_str(sheet)?,
            }
        }
        write!(f, "</{}>", self.name)
    }
}

/// Text that stays text, between tags and in attributes, in HTML and in XML.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // XML 1.0 has no place for these.
                c if c.is_control() && !matches!(c, '\t' | '\n') => f.write_char('\u{fffd}')?,
                '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_text_stays_text() {
        let evil = "</p><script a='b' c=\"d\">&amp;\0";
        let made = element("p").set("title", evil).text(evil).to_string();
        let escaped = "&lt;/p&gt;&lt;script a=&#39;b&#39; c=&quot;d&quot;&gt;&amp;amp;\u{fffd}";
        assert_eq!(made, format!("<p title=\"{escaped}\">{escaped}</p>"));
    }

    #[test]
    fn backticks_make_code() {
        let p = |sentence| element("p").prose(sentence).to_string();
        assert_eq!(
            p("take `weir`, not `<b>`."),
            "<p>take <code>weir</code>, not <code>&lt;b&gt;</code>.</p>"
        );
        assert_eq!(p("a lone ` is one"), "<p>a lone ` is one</p>");
        assert_eq!(element("br").to_string(), "<br/>");
    }
}
