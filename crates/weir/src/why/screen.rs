//! Verdicts for a person: what it is first, then what speaks for it.

use super::finding::{Finding, Subject};
use super::judge::Limiter;
use crate::columns;
use crate::table::{ALARM, QUIET, TITLE, room, start, width};
use crate::text;
use std::io::{self, Write};
use std::time::Duration;
use weir_record::End;

/// Verdicts that are shown; the others are counted.
const MOST: usize = 20;
/// Where the evidence begins.
const INDENT: usize = 29;

/// Prints them, and what there was not.
pub fn print(found: &[Finding], watched: Duration) -> io::Result<()> {
    let room = room();
    let mut out = anstream::stdout().lock();
    if found.is_empty() {
        let time = text::time(watched);
        writeln!(out, "No such connection now, and none failed in the {time} that were watched.")?;
        writeln!(out, "{QUIET}--all-netns looks further, --duration watches longer.{QUIET:#}")?;
    }
    for (number, finding) in found.iter().take(MOST).enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        for line in lines(finding, room) {
            writeln!(out, "{line}")?;
        }
    }
    if found.len() > MOST {
        writeln!(out, "\n{QUIET}… and {} more: -o json shows all{QUIET:#}", found.len() - MOST)?;
    }
    out.flush()
}

/// The verdict, who it is about, and the evidence; none is wider than `room`.
pub fn lines(finding: &Finding, room: usize) -> Vec<String> {
    let best = finding.limits[0].0.limiter;
    let style = if finding.is_idle {
        QUIET
    } else if finding.subject == Subject::Connection {
        TITLE
    } else {
        ALARM
    };
    let title = best.title();
    let title = title[..1].to_uppercase() + &title[1..];
    let about = start(&about(finding), room.saturating_sub(title.len() + 2)).to_owned();
    let mut lines = vec![format!("{style}{title}{style:#}: {about}")];
    lines.extend(
        wrapped(&sentence(finding), room.saturating_sub(2)).into_iter().map(|line| format!("  {line}")),
    );
    for (limit, evidence) in &finding.limits {
        let percent = format!("{:.0} %", limit.confidence * 100.0);
        let mut head = format!("  {percent:>5}  {:<20}", limit.limiter.title());
        for said in evidence {
            for line in wrapped(said, room.saturating_sub(INDENT)) {
                lines.push(format!("{QUIET}{head}{QUIET:#}{line}"));
                head = " ".repeat(INDENT);
            }
        }
        if evidence.is_empty() {
            lines.push(format!("{QUIET}{}{QUIET:#}", head.trim_end()));
        }
    }
    lines
}

fn sentence(finding: &Finding) -> String {
    let meaning = match (finding.subject, finding.limits[0].0.limiter) {
        (Subject::Port, Limiter::Failure(_)) => "Nobody listens there: who connects is refused.",
        (_, limiter) => limiter.sentence(),
    };
    let process = |end: &End| end.process.as_ref().map(|one| format!("{} ({})", one.command, one.pid));
    let ends = (process(&finding.flow.source), process(&finding.flow.destination));
    let who = match ends {
        (Some(from), Some(to)) => format!(" {from} → {to}"),
        (Some(one), None) | (None, Some(one)) => format!(" {one}"),
        (None, None) => String::new(),
    };
    let rate = match finding.bytes_per_second {
        0 => String::new(),
        bytes => format!(" {}bit/s", text::bit_rate(bytes, Duration::from_secs(1))),
    };
    let more = [who, rate].into_iter().filter(|one| !one.is_empty()).map(|one| one.trim().to_owned());
    let more = more.collect::<Vec<_>>().join(", ");
    if more.is_empty() { meaning.into() } else { format!("{meaning} {more}.") }
}

fn about(finding: &Finding) -> String {
    let (source, destination) = columns::ends(&finding.flow);
    match finding.subject {
        Subject::Port => destination,
        Subject::Attempts(_) | Subject::Connection => format!("{source} → {destination}"),
    }
}

/// In lines of whole words.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().filter(|line| line.is_empty() || width(line) + 1 + width(word) <= room);
        match line {
            Some(line) if line.is_empty() => line.push_str(start(word, room)),
            Some(line) => line.extend([" ", word]),
            None => lines.push(start(word, room).to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::connection::flow;
    use super::super::judge::Limit;
    use super::*;
    use std::sync::Arc;
    use weir_record::Process;

    fn finding() -> Finding {
        let end = |text: &str| text.parse().expect("an end");
        let mut flow = flow(("blue".into(), false), end("[2001:db8::1]:41888"), end("[2001:db8::2]:5001"));
        let process = |command: &str| {
            Some(Arc::new(Process { pid: 4711, command: command.into(), ..Process::default() }))
        };
        (flow.source.process, flow.destination.process) = (process("a-writer"), process("a-slow-reader"));
        let limit = |limiter, confidence| Limit { limiter, confidence };
        let evidence = "took no more for 0.98 s of 1.00 s; it is closed now, 640.0 KiB wait".to_owned();
        Finding {
            subject: Subject::Connection,
            flow,
            limits: vec![
                (
                    limit(Limiter::ReceiverWindow, 0.98),
                    vec![evidence, "a-slow-reader has 63.9 KiB unread".into()],
                ),
                (limit(Limiter::Application, 0.02), Vec::new()),
            ],
            bytes_per_second: 100_000,
            is_idle: false,
        }
    }

    #[test]
    fn the_verdict_comes_first_and_nothing_is_wider_than_the_terminal() {
        for room in [80, 60, 132] {
            let lines = lines(&finding(), room);
            assert!(lines.iter().all(|line| width(line) <= room), "{lines:#?}");
            assert!(lines[0].contains("Receiver's window"), "{lines:#?}");
        }
        let plain: Vec<_> =
            lines(&finding(), 80).iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
        assert_eq!(plain[0], "Receiver's window: [2001:db8::1]:41888 → [2001:db8::2]:5001");
        assert_eq!(plain[1], "  The receiver does not read as fast as data come. a-writer (4711) →");
        assert_eq!(plain[3], "   98 %  receiver's window   took no more for 0.98 s of 1.00 s; it is closed");
        assert_eq!(plain[4], "                             now, 640.0 KiB wait");
        assert_eq!(plain[6], "    2 %  sending application");
    }
}
