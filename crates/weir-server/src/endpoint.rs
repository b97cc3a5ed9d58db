//! What can be asked, and what a question and an answer look like.

use crate::{Problem, Reply};
use bytes::Bytes;
use serde_json::Value;
use std::fmt;

/// How it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// With what is in the address alone.
    Get,
    /// With a body.
    Post,
}

impl Method {
    /// As in a request.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Whoever reaches the port.
    Anyone,
    /// Those that [`crate::Access`] lets in.
    Trusted,
}

/// How much it takes to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Nothing: it is known.
    Nothing,
    /// A question to the agent.
    Light,
    /// Memory and processors for a while: few at once, and none for longer than a time that the request may name.
    Query,
    /// Little, for as long as somebody listens.
    Stream,
}

/// A form that an answer can have.
#[derive(Debug, Clone)]
pub struct Media {
    /// Its type, as `Accept` names it.
    pub name: &'static str,
    /// What is in it, as JSON Schema.
    pub schema: Value,
}

/// A part of the question that stands behind the `?`.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it says.
    pub doc: String,
    /// What it may be, as JSON Schema.
    pub schema: Value,
    /// Whether it may come several times.
    pub is_repeatable: bool,
}

/// What a request carries.
#[derive(Debug, Clone)]
pub struct Body {
    /// Its type.
    pub media: &'static str,
    /// What is in it, as JSON Schema.
    pub schema: Value,
}

/// A question.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// What stands behind the `?`, in its order.
    pub parameters: Vec<(String, String)>,
    /// What it carries.
    pub body: Bytes,
}

/// Who answers.
pub trait Asks: Send + Sync {
    /// Writes the answer, in the form that [`Reply::media`] names.
    ///
    /// # Errors
    /// Why there is none, or not all of it.
    fn answer(&self, request: &Request, reply: &mut Reply) -> Result<(), Problem>;
}

impl<F: Fn(&Request, &mut Reply) -> Result<(), Problem> + Send + Sync> Asks for F {
    fn answer(&self, request: &Request, reply: &mut Reply) -> Result<(), Problem> {
        self(request, reply)
    }
}

/// A question that can be asked.
pub struct Endpoint {
    /// How.
    pub method: Method,
    /// Where.
    pub path: &'static str,
    /// What for, in a line.
    pub summary: &'static str,
    /// What else there is to know.
    pub description: &'static str,
    /// By whom.
    pub who: Who,
    /// At what cost.
    pub load: Load,
    /// With what behind the `?`.
    pub parameters: Vec<Parameter>,
    /// Carrying what.
    pub body: Option<Body>,
    /// The forms of the answer, the usual one first.
    pub media: Vec<Media>,
    /// Who answers.
    pub asks: Box<dyn Asks>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method.as_str(), self.path)
    }
}
