//! What sources have found, made fit for records: every word of it was chosen by whoever started the container.

use glob::Pattern;
use std::collections::BTreeMap;
use std::fmt::Write;
use weir_record::printable;
use weir_record::{ContainerDetails, PodName};

/// Bytes of a name, an image, or the value of a label.
const LONGEST: usize = 256;
/// Bytes of all labels.
const LABELS: usize = 2048;
/// What ends a text that was cut.
const CUT: char = '…';

/// What a source has found, as it is written there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: Option<String>,
    /// Its image.
    pub image: Option<String>,
    /// Its labels; for bundles, all annotations.
    pub labels: BTreeMap<String, String>,
}

/// Under which keys those that work for Kubernetes, and nerdctl, keep what counts. Whoever has none of them
/// has said it otherwise.
const NAMES: [&str; 3] = ["io.kubernetes.cri.container-name", "io.kubernetes.container.name", "nerdctl/name"];
const IMAGES: [&str; 2] = ["io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName"];
const PODS: [&str; 2] = ["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"];
const NAMESPACES: [&str; 2] = ["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"];

impl Found {
    /// For records, with the labels that are wanted.
    pub fn details(self, wanted: &[Pattern]) -> ContainerDetails {
        let of = |keys: &[&str]| keys.iter().find_map(|key| self.labels.get(*key)).map(|text| short(text));
        let pod = of(&PODS).zip(of(&NAMESPACES)).map(|(name, namespace)| PodName { namespace, name });
        let name = of(&NAMES).or_else(|| self.name.as_deref().map(short));
        let image = of(&IMAGES).or_else(|| self.image.as_deref().map(short));
        let said = |text: &String| !text.is_empty();
        ContainerDetails {
            name: name.filter(said),
            image: image.filter(said),
            labels: labels(&self.labels, wanted),
            pod,
        }
    }
}

/// Harmless and short.
fn short(text: &str) -> String {
    cut(&printable(cut_at(text, LONGEST)), LONGEST)
}

fn cut(text: &str, longest: usize) -> String {
    match cut_at(text, longest) {
        whole if whole.len() == text.len() => whole.to_owned(),
        start => format!("{}{CUT}", cut_at(start, longest - CUT.len_utf8())),
    }
}

/// Its first bytes, whole characters only.
fn cut_at(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}

/// Those with a key that is wanted, in one text.
fn labels(all: &BTreeMap<String, String>, wanted: &[Pattern]) -> Option<String> {
    let mut text = String::new();
    for (key, value) in all.iter().filter(|(key, _)| wanted.iter().any(|pattern| pattern.matches(key))) {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{}={}", apart(key), apart(value));
        if text.len() > LABELS {
            break;
        }
    }
    (!text.is_empty()).then(|| cut(&text, LABELS))
}

/// Part of a list: nobody can write a comma that looks like the end of it.
fn apart(text: &str) -> String {
    short(text).replace('\\', r"\\").replace(',', r"\,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    fn patterns(globs: &[&str]) -> Vec<Pattern> {
        globs.iter().map(|glob| Pattern::new(glob).expect("a glob")).collect()
    }

    #[test]
    fn a_pod_is_said_by_annotations_of_either_kind() {
        let pod = Some(PodName { namespace: "shop".into(), name: "web-7d4b9".into() });
        let containerd = map(&[
            ("io.kubernetes.cri.container-name", "nginx"),
            ("io.kubernetes.cri.image-name", "docker.io/library/nginx:1.27"),
            ("io.kubernetes.cri.sandbox-name", "web-7d4b9"),
            ("io.kubernetes.cri.sandbox-namespace", "shop"),
        ]);
        let crio = map(&[
            ("io.kubernetes.container.name", "nginx"),
            ("io.kubernetes.cri-o.ImageName", "docker.io/library/nginx:1.27"),
            ("io.kubernetes.pod.name", "web-7d4b9"),
            ("io.kubernetes.pod.namespace", "shop"),
        ]);
        for labels in [containerd, crio] {
            let name = Some("k8s_nginx_web-7d4b9_shop".into());
            let details = Found { name, labels, ..Found::default() }.details(&[]);
            assert_eq!(details.name.as_deref(), Some("nginx"));
            assert_eq!(details.image.as_deref(), Some("docker.io/library/nginx:1.27"));
            assert_eq!((details.pod.as_ref(), details.labels), (pod.as_ref(), None));
        }
    }

    #[test]
    fn labels_are_kept_by_key_and_nothing_in_them_looks_like_another() {
        let labels =
            map(&[("team", r"a,role=db\"), ("com.docker.compose.service", "web"), ("token", "hunter2")]);
        let found = Found { labels, ..Found::default() };
        let of = |globs: &[&str]| found.clone().details(&patterns(globs)).labels;
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["nothing"]), None);
        let text = of(&["com.docker.*", "team"]).expect("two of them");
        assert_eq!(text, r"com.docker.compose.service=web,team=a\,role=db\\");
    }

    #[test]
    fn what_is_hostile_becomes_harmless_and_short() {
        let long = "ü\u{1b}[2J\n".repeat(4096);
        let labels = (0..1000).map(|n| (format!("{n}{long}"), long.clone())).collect();
        let found = Found { name: Some(long.clone()), image: Some(long), labels };
        let details = found.details(&patterns(&["*"]));
        let texts =
            [details.name, details.image, details.labels].map(|text| text.expect("something is left"));
        for (text, longest) in texts.iter().zip([LONGEST, LONGEST, LABELS]) {
            assert!(text.len() <= longest && text.len() > longest - 8, "{}", text.len());
            assert!(text.ends_with(CUT) && !text.chars().any(char::is_control), "{text}");
        }
    }

    #[test]
    fn nothing_is_no_name() {
        let nothing = Found { name: Some(String::new()), image: Some(String::new()), ..Found::default() };
        assert_eq!(nothing.details(&patterns(&["*"])), ContainerDetails::default());
    }
}
