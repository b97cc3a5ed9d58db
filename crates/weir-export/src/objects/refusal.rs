//! What a store says of what it does not do, in words.

use super::place::CONNECT;
use crate::trust::said;
use object_store::Error;
use std::error;
use std::io;
use weir_record::printable_start;

/// Of what it says of a mistake.
const LONGEST: usize = 300;

/// Why it did not take an object.
pub fn told(error: &Error) -> io::Error {
    let cause = cause(error);
    io::Error::other(match error {
        Error::NotFound { .. } => format!("there is no such place: {cause}"),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            format!("it does not let us in: {cause}")
        }
        _ => cause,
    })
}

/// What lies at the bottom of it.
fn cause(error: &(dyn error::Error + 'static)) -> String {
    let mut at = error;
    loop {
        if let Some(error) = at.downcast_ref::<rustls::Error>() {
            return said(error);
        }
        let within = at.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match within.map(|within| within as &(dyn error::Error + 'static)).or_else(|| at.source()) {
            Some(next) => at = next,
            None => return shortened(&at.to_string()),
        }
    }
}

/// Servers answer in XML: what it is, and what they say of it.
fn shortened(text: &str) -> String {
    // The client's word for a connection that it could not have in time, whatever kept it.
    if text == "operation timed out" {
        return format!("no connection within {} s: it does not answer, or DNS does not", CONNECT.as_secs());
    }
    let text = text.strip_prefix("Server returned non-2xx status code: ").map_or_else(
        || text.to_owned(),
        |answer| match (element(answer, "Code"), element(answer, "Message")) {
            (Some(code), Some(message)) => format!("it answers {code}: {message}"),
            _ => format!("it answers {answer}"),
        },
    );
    printable_start(text.trim().trim_end_matches(':'), LONGEST)
}

fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner.trim())
}
