//! Which events are wanted, and what of them.

use super::Arguments;
use super::column::Shown;
use crate::output::Output;
use glob::Pattern;
use weir_filter::EventFilter;
use weir_probes::dns::MOST_PORTS;
use weir_record::{End, Event, EventKind};

/// What an event has to fit.
pub struct Wanted {
    filter: Option<EventFilter>,
    processes: Vec<ProcessIs>,
    containers: Vec<Pattern>,
}

/// What a process has to be.
enum ProcessIs {
    Numbered(u32),
    Named(Pattern),
}

impl ProcessIs {
    fn read(word: &str) -> Result<Self, String> {
        match word.parse() {
            Ok(pid) => Ok(Self::Numbered(pid)),
            Err(_) => {
                let glob =
                    Pattern::new(word).map_err(|error| format!("--process {word}: not a glob: {error}"))?;
                Ok(Self::Named(glob))
            }
        }
    }

    fn fits(&self, end: &End) -> bool {
        end.process.as_ref().is_some_and(|process| match self {
            Self::Numbered(pid) => process.pid == *pid,
            Self::Named(glob) => glob.matches(&process.command),
        })
    }
}

type Columns = (Vec<Shown>, Vec<&'static EventKind>);

/// What was asked for, or the mistake in it.
pub fn read(arguments: &Arguments) -> Result<(Wanted, Columns), String> {
    let kinds = &arguments.kinds[..];
    if arguments.dns_port.len() > MOST_PORTS {
        return Err(format!("--dns-port takes from one to {MOST_PORTS} ports"));
    }
    let processes = arguments.process.iter().map(|word| ProcessIs::read(word)).collect::<Result<_, _>>()?;
    let filter = arguments.filter.as_deref().map(|text| EventFilter::parse(text, kinds)).transpose();
    let filter = filter.map_err(|mistake| format!("--filter: {mistake}"))?;
    let wanted = Wanted { filter, processes, containers: arguments.container.clone() };
    let columns = match &arguments.fields[..] {
        [] => usual(kinds),
        names => names.iter().map(|name| named(name, kinds)).collect::<Result<Vec<_>, _>>()?,
    };
    // What puts fields together is for people.
    let is_field = |column: &Shown| matches!(column, Shown::Field(_) | Shown::Kind);
    if arguments.output == Output::Json && !arguments.fields.is_empty() && !columns.iter().all(is_field) {
        return Err("--fields: in JSON each field stands by itself: see docs/events.md".into());
    }
    Ok((wanted, (columns, kinds.to_vec())))
}

fn named(name: &str, kinds: &[&EventKind]) -> Result<Shown, String> {
    Shown::named(name, kinds).ok_or_else(|| {
        let names: Vec<_> = kinds.iter().map(|kind| kind.name).collect();
        format!("--fields: events of {} have no {name}: see docs/events.md", names.join(" and "))
    })
}

/// When, which kind where there are several, who and what.
fn usual(kinds: &[&'static EventKind]) -> Vec<Shown> {
    let kind = (kinds.len() > 1).then_some(Shown::Kind);
    let time = std::iter::once(Shown::Field("time".into()));
    time.chain(kind).chain([Shown::Process, Shown::Pid, Shown::What]).collect()
}

impl Wanted {
    /// Whether it fits.
    pub fn wants(&self, event: &Event) -> bool {
        let ends = [&event.flow.source, &event.flow.destination];
        self.filter.as_ref().is_none_or(|filter| filter.matches(event))
            && (self.processes.is_empty()
                || ends.iter().any(|end| self.processes.iter().any(|one| one.fits(end))))
            && (self.containers.is_empty() || ends.iter().any(|end| self.is_of_container(end)))
    }

    fn is_of_container(&self, end: &End) -> bool {
        let container = end.process.as_ref().and_then(|process| process.container.as_ref());
        let Some(container) = container else { return false };
        let name = end.container_name().unwrap_or_default();
        self.containers.iter().any(|glob| glob.matches(&name) || container.id.starts_with(glob.as_str()))
    }
}
