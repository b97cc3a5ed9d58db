//! Who asks.

use crate::run::say;

/// Hears what there is to say beside an answer, each thing once, and may have had enough of it.
pub struct Asker {
    remarks: Vec<String>,
    /// Whether one of them says that something is missing.
    lacks: bool,
    /// How it is told at once.
    say: fn(&str),
    has_enough: Box<dyn Fn() -> bool>,
}

impl Asker {
    /// Somebody who reads standard error, and ends this process where it is enough.
    pub fn on_terminal() -> Self {
        Self { remarks: Vec::new(), lacks: false, say, has_enough: Box::new(|| false) }
    }

    /// Somebody elsewhere, who is told together with the answer.
    pub fn elsewhere(has_enough: impl Fn() -> bool + 'static) -> Self {
        Self { remarks: Vec::new(), lacks: false, say: |_| (), has_enough: Box::new(has_enough) }
    }

    pub fn tell(&mut self, remark: String) {
        if !self.remarks.contains(&remark) {
            (self.say)(&remark);
            self.remarks.push(remark);
        }
    }

    /// Tells of something that is missing in the answer.
    pub fn tell_missing(&mut self, remark: String) {
        self.lacks = true;
        self.tell(remark);
    }

    pub fn lacks_something(&self) -> bool {
        self.lacks
    }

    pub fn has_enough(&self) -> bool {
        (self.has_enough)()
    }

    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }
}
