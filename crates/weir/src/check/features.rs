//! What a person should know: each feature, and what it comes to.

use serde::Serialize;

/// Whether a feature is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Status {
    /// It is.
    #[serde(rename = "yes")]
    Yes,
    /// It is not.
    #[serde(rename = "no")]
    No,
    /// What it would stand in for is there.
    #[serde(rename = "not needed")]
    NotNeeded,
    /// A capability is missing, without which the kernel does not tell.
    #[serde(rename = "not tried")]
    NotTried,
}

impl Status {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::NotNeeded => "not needed",
            Self::NotTried => "not tried",
        }
    }
}

/// Something that `weir` uses of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Feature {
    pub name: &'static str,
    pub status: Status,
    /// The first release that has it; none where every kernel of interest does.
    pub minimum_kernel: Option<&'static str>,
    /// What is used where it is not there; none where nothing can be.
    pub instead: Option<&'static str>,
    /// Why not.
    pub reason: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
    /// Without it `weir run` cannot work.
    #[serde(rename = "required")]
    pub is_required: bool,
}

/// What it comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict(Option<(String, Option<String>)>);

impl Verdict {
    /// Whether `weir run` can work.
    pub fn is_ok(&self) -> bool {
        self.0.is_none()
    }

    /// Why it cannot.
    pub fn reason(&self) -> Option<&str> {
        self.0.as_ref().map(|(reason, _)| reason.as_str())
    }

    /// What to do about that.
    pub fn remedy(&self) -> Option<&str> {
        self.0.as_ref().and_then(|(_, remedy)| remedy.as_deref())
    }

    /// In one sentence, or two.
    pub fn text(&self) -> String {
        match &self.0 {
            None => "weir run works here".into(),
            Some((reason, None)) => format!("weir run cannot work here: {reason}"),
            Some((reason, Some(remedy))) => {
                let mut letters = remedy.chars();
                let first = letters.next().map(|letter| letter.to_ascii_uppercase());
                let remedy: String = first.into_iter().chain(letters).collect();
                format!("weir run cannot work here: {reason}. {remedy}")
            }
        }
    }
}

/// What stops `weir run`: the capabilities all at once, else the first thing that is missing.
pub fn verdict(features: &[Feature]) -> Verdict {
    let lacks = |feature: &&Feature| feature.is_required && feature.status != Status::Yes;
    let capabilities: Vec<_> = features.iter().filter(|f| f.name.starts_with("CAP_")).filter(lacks).collect();
    let Some(first) = capabilities.first().copied().or_else(|| features.iter().find(lacks)) else {
        return Verdict(None);
    };
    let names: Vec<_> = capabilities.iter().map(|feature| feature.name).collect();
    let reason = match (&names[..], &first.reason) {
        ([], Some(reason)) => format!("{}: {reason}", first.name),
        ([], None) => format!("{} is missing", first.name),
        ([one], _) => format!("{one} is missing"),
        (several, _) => format!("{} are missing", several.join(", ")),
    };
    Verdict(Some((reason, first.remedy.clone())))
}
