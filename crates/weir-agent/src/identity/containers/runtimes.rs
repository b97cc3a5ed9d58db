//! Which container runtimes are asked, and where.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use weir_record::Runtime;

/// What a user decides about containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerSettings {
    /// Whom to ask.
    pub runtimes: Runtimes,
    /// Keys of the labels that records have. None by default: people put secrets there.
    pub labels: Vec<glob::Pattern>,
}

/// The runtimes that are asked, in this order; none for no names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtimes(Vec<Wanted>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) runtime: Runtime,
    /// Where it is, unless it is where it always is.
    pub(super) place: Option<PathBuf>,
}

/// Those that can be asked: LXC's containers have their names in their paths.
const KNOWN: [Runtime; 4] = [Runtime::Docker, Runtime::Podman, Runtime::Containerd, Runtime::CriO];

impl Runtimes {
    /// None.
    #[must_use]
    pub fn off() -> Self {
        Self(Vec::new())
    }

    pub(super) fn wanted(&self) -> &[Wanted] {
        &self.0
    }
}

/// All of them, where they always are.
impl Default for Runtimes {
    fn default() -> Self {
        Self(KNOWN.map(|runtime| Wanted { runtime, place: None }).into())
    }
}

impl FromStr for Runtimes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::default()),
            "off" => Ok(Self::off()),
            list => Ok(Self(list.split(',').map(wanted).collect::<Result<_, _>>()?)),
        }
    }
}

/// `docker`, `docker=/run/docker.sock`, and `docker=unix:///run/docker.sock` as Docker itself writes it.
fn wanted(text: &str) -> Result<Wanted, String> {
    let (name, place) = match text.trim().split_once('=') {
        Some((name, place)) => (name, Some(place)),
        None => (text.trim(), None),
    };
    let runtime = KNOWN.into_iter().find(|runtime| runtime.as_str() == name).ok_or_else(|| {
        let names = KNOWN.map(Runtime::as_str).join(", ");
        format!(
            "'{name}' is no runtime that can be asked: there are {names}, each also with =PATH; or auto, off"
        )
    })?;
    let place = place.map(|place| {
        let path = Path::new(place.strip_prefix("unix://").or(place.strip_prefix("unix:")).unwrap_or(place));
        if path.is_absolute() {
            Ok(path.to_owned())
        } else {
            Err(format!("'{place}' is not an absolute path"))
        }
    });
    Ok(Wanted { runtime, place: place.transpose()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_stands_for_all_and_one_for_none() {
        assert_eq!("auto".parse(), Ok(Runtimes::default()));
        assert_eq!("off".parse(), Ok(Runtimes::off()));
        assert_eq!("docker,podman,containerd,cri-o".parse(), Ok(Runtimes::default()));
    }

    #[test]
    fn some_are_elsewhere() {
        let both: Runtimes = "cri-o, docker=unix:///srv/docker.sock".parse().expect("two runtimes");
        let place = Some(PathBuf::from("/srv/docker.sock"));
        let wanted =
            [Wanted { runtime: Runtime::CriO, place: None }, Wanted { runtime: Runtime::Docker, place }];
        assert_eq!(both.wanted(), wanted);
        assert_eq!("docker=/srv/docker.sock".parse::<Runtimes>().expect("one").wanted(), &wanted[1..]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = |text: &str| text.parse::<Runtimes>().expect_err("refused");
        assert!(
            refused("rocket")
                .starts_with("'rocket' is no runtime that can be asked: there are docker, podman")
        );
        assert!(refused("docker=docker.sock").ends_with("is not an absolute path"));
        for nonsense in ["", ",", "docker,", "lxc", "auto,docker", "docker=", "docker=tcp://10.0.0.1:2375"] {
            refused(nonsense);
        }
    }
}
