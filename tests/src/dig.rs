//! What dig printed of its questions and their answers.

use crate::netns::Namespace;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named as in the table `dns`")]
pub struct Answered {
    /// In small letters, without the last dot.
    pub question: String,
    pub kind: String,
    pub code: String,
    /// Addresses and aliases, of other records the types, with commas between.
    pub answers: Option<String>,
    pub protocol: String,
}

/// Asks this server so, and reads what dig prints of it.
pub fn dig(namespace: &Namespace, server: &str, question: &[&str]) -> Answered {
    let said = namespace.run("dig", &[&["+tries=1", &format!("@{server}")], question].concat());
    read(&said).unwrap_or_else(|| panic!("{question:?}: {said}"))
}

/// None where it is not what dig prints of an answer.
fn read(said: &str) -> Option<Answered> {
    let code = said.split_once("status: ")?.1.split_once(',')?.0;
    let [name, _, kind] = section(said, "QUESTION").next()?[..] else { return None };
    let answers: Vec<_> = section(said, "ANSWER").filter_map(|words| answer(&words)).collect();
    let server = said.lines().find(|line| line.starts_with(";; SERVER: "))?;
    Some(Answered {
        question: bare(name.strip_prefix(';')?).to_lowercase(),
        kind: kind.into(),
        code: code.into(),
        answers: (!answers.is_empty()).then(|| answers.join(", ")),
        protocol: server.rsplit_once('(')?.1.trim_end_matches(')').to_lowercase(),
    })
}

/// The words of each line of a section.
fn section<'s>(said: &'s str, name: &str) -> impl Iterator<Item = Vec<&'s str>> {
    let begin = format!(";; {name} SECTION:\n");
    let rest = said.split_once(&begin).map_or("", |(_, rest)| rest);
    rest.lines().take_while(|line| !line.is_empty()).map(|line| line.split_whitespace().collect())
}

fn answer(words: &[&str]) -> Option<String> {
    let kind = words.get(3)?;
    let is_told = ["A", "AAAA", "CNAME"].contains(kind);
    if is_told { words.get(4).map(|value| bare(value).into()) } else { Some((*kind).into()) }
}

fn bare(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dig_prints_is_read() {
        let said = "\n; <<>> DiG 9 <<>> WWW.example\n;; Got answer:\n\
            ;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 7\n;; flags: qr rd; QUERY: 1, ANSWER: 2\n\n\
            ;; QUESTION SECTION:\n;WWW.example.\t\tIN\tA\n\n\
            ;; ANSWER SECTION:\nwww.example.\t5\tIN\tCNAME\tweb.example.\nweb.example.\t5\tIN\tA\t10.0.0.1\n\n\
            ;; Query time: 0 msec\n;; SERVER: 10.0.0.2#53(10.0.0.2) (UDP)\n";
        let found = read(said).expect("an answer");
        assert_eq!((found.question.as_str(), found.kind.as_str()), ("www.example", "A"));
        assert_eq!((found.code.as_str(), found.protocol.as_str()), ("NOERROR", "udp"));
        assert_eq!(found.answers.as_deref(), Some("web.example, 10.0.0.1"));
    }
}
