//! What a server answers, and what that means for a batch.

use crate::batch::{Answer, Form};
use ureq::http::StatusCode;

/// As much as we have posted is more than it takes at once.
const TOO_LARGE: u16 = 413;
/// What will not get better by being sent again: it is the batch that is wrong, not the moment.
const REFUSALS: [u16; 3] = [400, 415, 422];

/// What nginx answers with 400, too, though no batch is wrong: by what its page says, and what that means.
const CONNECTIONS: [(&str, &str); 3] = [
    (
        "No required SSL certificate",
        "it wants a certificate from us: name one with cert_file=PATH and key_file=PATH",
    ),
    ("SSL certificate error", "it does not take our certificate"),
    ("sent to HTTPS port", "there it speaks HTTPS"),
];

/// What the answer of this status and page says of what was sent in this form.
///
/// # Errors
/// It does not take it now; what it answers.
pub fn of(status: StatusCode, page: &[u8], form: Form) -> Result<Answer, String> {
    let complaint = || match (form.complaint)(page) {
        Some(complaint) => format!("{status}: {complaint}"),
        None => status.to_string(),
    };
    match status.as_u16() {
        200..=299 => Ok(Answer::Taken(status.to_string(), (form.verdict)(page))),
        400 if let Some(why) = wrong_connection(page) => Err(format!("{status}: {why}")),
        TOO_LARGE => Ok(Answer::TooLarge(complaint())),
        code if REFUSALS.contains(&code) => Ok(Answer::Refused(complaint())),
        _ => Err(complaint()),
    }
}

fn wrong_connection(page: &[u8]) -> Option<&'static str> {
    let page = String::from_utf8_lossy(page);
    CONNECTIONS.iter().find(|(says, _)| page.contains(says)).map(|(_, means)| *means)
}
