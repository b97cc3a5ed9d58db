//! Columns of the stream: a field each, or an end's address and port together.

use crate::table::Align;
use crate::text;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::net::{IpAddr, SocketAddr};
use weir_record::{Actor, Event, EventColumn, EventKind, EventPlace, FlowKey, Kind, Unit};

/// What stands where an event has nothing to say.
const NOTHING: &str = "-";

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Which kind of event it is.
    Kind,
    /// The name of the process whose doing it is.
    Process,
    /// Its number.
    Pid,
    /// What its kind shows of it beside these, in words.
    What,
    /// Address and port of the source.
    Source,
    /// Address and port of the destination.
    Destination,
    /// A field.
    Field(String),
}

impl Shown {
    /// The column of this name, if one of the kinds has it.
    pub fn named(name: &str, kinds: &[&EventKind]) -> Option<Self> {
        match name {
            "type" => Some(Self::Kind),
            "process" => Some(Self::Process),
            "pid" => Some(Self::Pid),
            "source" => Some(Self::Source),
            "destination" => Some(Self::Destination),
            _ => kinds.iter().any(|kind| kind.column(name).is_some()).then(|| Self::Field(name.into())),
        }
    }

    /// Its title.
    pub fn title(&self) -> String {
        let name = match self {
            Self::Kind => "event",
            Self::Process => "process",
            Self::Pid => "pid",
            Self::What => "what",
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Field(name) => name,
        };
        name.replace('_', " ").to_uppercase()
    }

    /// How its cells stand, and how wide they usually are.
    pub fn measure(&self, kinds: &[&EventKind]) -> (Align, usize) {
        let width = |usual: usize| usual.max(self.title().len());
        let name = match self {
            Self::Kind => {
                return (Align::Left, kinds.iter().map(|kind| kind.name.len()).max().unwrap_or(0).max(5));
            }
            Self::Process => return (Align::Left, 15),
            Self::Pid => return (Align::Right, 7),
            Self::Source | Self::Destination => return (Align::Left, 21),
            Self::What => return (Align::Left, 20),
            Self::Field(name) => name,
        };
        let column = kinds.iter().find_map(|kind| kind.column(name));
        match column.map(|column| (column.unit(), column.kind())) {
            Some((Unit::Time, _)) => (Align::Left, width(12)),
            Some((Unit::Microseconds | Unit::Bytes, _)) => (Align::Right, width(9)),
            Some((_, Kind::Number)) => (Align::Right, width(7)),
            Some((_, Kind::Address)) => (Align::Left, width(15)),
            _ if name.ends_with("_arguments") || name.ends_with("_executable") => (Align::Left, width(30)),
            _ if name == "protocol" => (Align::Left, width(5)),
            _ => (Align::Left, width(14)),
        }
    }

    /// Whether more room than usual is of use: addresses of IPv6, command lines.
    pub fn is_long(&self) -> bool {
        match self {
            Self::Source | Self::Destination | Self::What => true,
            Self::Kind | Self::Process | Self::Pid => false,
            Self::Field(name) => name.ends_with("_arguments") || name.ends_with("_executable"),
        }
    }

    /// What an event says in it.
    pub fn cell(&self, event: &Event, zone: &TimeZone) -> String {
        let kind = event.happening.kind();
        let process = || event.end(kind.actor).process.as_ref();
        let cell = match self {
            Self::Kind => Some(kind.name.into()),
            Self::Process => process().map(|process| process.command.clone()),
            Self::Pid => process().filter(|process| process.pid != 0).map(|process| process.pid.to_string()),
            Self::What => what(event, zone),
            Self::Source => end(&event.flow.key, Actor::Source),
            Self::Destination if !kind.place.has_both_ends() => None,
            Self::Destination => end(&event.flow.key, Actor::Destination),
            Self::Field(name) => kind.column(name).and_then(|column| value(event, column, zone)),
        };
        cell.unwrap_or_else(|| NOTHING.into())
    }
}

/// What matters most comes first: it is the end of a line that is cut.
fn what(event: &Event, zone: &TimeZone) -> Option<String> {
    let kind = event.happening.kind();
    let said = kind.shown.iter().filter_map(|name| match *name {
        "remote" => Some(format!("{} {}", arrow(kind.actor), called(event, kind.actor.other())?)),
        "local" if kind.place == EventPlace::Source => called(event, kind.actor),
        "local" => Some(format!("{} {}", preposition(kind.actor), called(event, kind.actor)?)),
        name => words(event, kind.column(name)?, zone),
    });
    // What has no name says nothing: the interface of a counter that is of none.
    let said = said.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("  ");
    (!said.is_empty()).then_some(said)
}

fn arrow(actor: Actor) -> char {
    if actor == Actor::Source { '→' } else { '←' }
}

fn preposition(actor: Actor) -> &'static str {
    if actor == Actor::Source { "from" } else { "at" }
}

/// An end by its name, if it has one, else by its address.
fn called(event: &Event, which: Actor) -> Option<String> {
    let (known, ports) = (event.end(which), event.flow.key.ports());
    let port = ports.map(|(from, to)| if which == Actor::Source { from } else { to });
    match (&known.name, port) {
        (Some(name), Some(port)) => Some(format!("{}:{port}", name.text)),
        _ => end(&event.flow.key, which),
    }
}

/// Words and times speak for themselves; a number has its name.
fn words(event: &Event, column: EventColumn, zone: &TimeZone) -> Option<String> {
    let value = value(event, column, zone)?;
    Some(match (column.kind(), column.unit()) {
        (Kind::Text, _) | (_, Unit::Microseconds | Unit::Bytes) => value,
        _ => format!("{} {value}", column.name().replace('_', " ")),
    })
}

fn end(key: &FlowKey, which: Actor) -> Option<String> {
    let of = |pair: (IpAddr, IpAddr)| if which == Actor::Source { pair.0 } else { pair.1 };
    let address = of(key.addresses()?);
    let port = key.ports().map(|(from, to)| if which == Actor::Source { from } else { to });
    Some(match port {
        Some(port) => SocketAddr::new(address, port).to_string(),
        None => address.to_string(),
    })
}

fn value(event: &Event, column: EventColumn, zone: &TimeZone) -> Option<String> {
    text::value(&column.read(event), column.unit(), |nanos| clock(nanos, zone))
}

/// The time of the day.
fn clock(nanos: u64, zone: &TimeZone) -> String {
    match Timestamp::from_nanosecond(i128::from(nanos)) {
        Ok(time) => zone.to_datetime(time).strftime("%H:%M:%S.%3f").to_string(),
        Err(_) => NOTHING.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_record::{Bind, Connect, Happening, Name};

    fn event(happening: Happening) -> Event {
        let ends =
            ["10.0.0.1:40000", "[2001:db8::1]:443"].map(|end| end.parse::<SocketAddr>().expect("an end"));
        let mut event = Event::between(("blue".into(), false), Some((6, ends)), happening);
        event.time = 1_700_000_000_123_456_789;
        event
    }

    #[test]
    fn cells_are_for_people() {
        let connect = event(Happening::Connect(Connect { error: None, latency: 3_400 }));
        let kinds = [EventKind::named("connect").expect("it is there")];
        let cell = |name| Shown::named(name, &kinds).expect("it is there").cell(&connect, &TimeZone::UTC);
        assert_eq!(cell("time"), "22:13:20.123");
        assert_eq!(cell("destination"), "[2001:db8::1]:443");
        assert_eq!((cell("connect_latency").as_str(), cell("error").as_str()), ("3.4 ms", "-"));
        assert_eq!(Shown::named("packets", &kinds), None);
    }

    #[test]
    fn what_a_kind_does_not_have_is_a_dash() {
        let kinds = ["connect", "bind"].map(|name| EventKind::named(name).expect("it is there"));
        let latency = Shown::named("connect_latency", &kinds).expect("one has it");
        let bind = event(Happening::Bind(Bind { error: Some("EADDRINUSE".into()) }));
        assert_eq!(latency.cell(&bind, &TimeZone::UTC), "-");
        assert_eq!(Shown::Destination.cell(&bind, &TimeZone::UTC), "-");
        let what = |event: &Event| Shown::What.cell(event, &TimeZone::UTC);
        assert_eq!(what(&bind), "tcp  [::ffff:10.0.0.1]:40000  EADDRINUSE");
        let error = Some("ECONNREFUSED".into());
        let mut connect = event(Happening::Connect(Connect { error, latency: 1 }));
        assert_eq!(what(&connect), "→ [2001:db8::1]:443  ECONNREFUSED  1 µs  from [::ffff:10.0.0.1]:40000");
        let name = Name { text: "db.example.org".into(), ..Name::default() };
        connect.flow.destination.name = Some(std::sync::Arc::new(name));
        assert!(what(&connect).starts_with("→ db.example.org:443  "));
        assert!(what(&event(Happening::Accept)).starts_with("← "));
    }
}
