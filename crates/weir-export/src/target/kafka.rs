//! What a URL says of Kafka.

use super::Kind;
use super::options::{Options, chosen, in_the_clear, place, security};
use crate::kafka::{Cluster, Compression, Format, Key, Login, Manner, Mechanism, PORTS};
use crate::login::is_loopback;
use std::path::PathBuf;
use weir_record::Field;

/// What tells records apart.
const IDENTITY: [&str; 3] = ["flow_id", "start", "end"];
/// How long Kafka lets a topic's name be.
const LONGEST: usize = 249;

/// `SCHEME://BROKER,BROKER/TOPIC`.
pub(super) fn kafka(base: &str, options: &mut Options) -> Result<Kind, String> {
    let (scheme, rest) = base.split_once("://").ok_or_else(|| format!("{base}: there is no host in it"))?;
    let (brokers, topic) = rest.split_once('/').unwrap_or((rest, ""));
    let is_clear = scheme == "kafka";
    let port = PORTS[usize::from(!is_clear)];
    let brokers: Vec<_> = brokers
        .split(',')
        .map(|broker| place(&format!("{scheme}://{broker}"), port))
        .collect::<Result<_, _>>()?;
    let (security, login) = (security(options)?, login(options)?);
    if is_clear {
        let is_here = brokers.iter().all(|broker| is_loopback(&broker.host));
        in_the_clear(login.is_some() && !is_here, &security, "kafka+tls")?;
    }
    let security = Some(security).filter(|_| !is_clear);
    let cluster = Cluster { brokers, topic: named(topic)?, security, login };
    Ok(Kind::Kafka(cluster, manner(options)?))
}

fn named(topic: &str) -> Result<String, String> {
    let is_fine = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    match topic {
        "" => Err("there is no topic in it: kafka://HOST:PORT/TOPIC".into()),
        "." | ".." => Err(format!("Kafka has no topic {topic}")),
        topic if topic.len() > LONGEST || !topic.chars().all(is_fine) => {
            Err("a topic has letters, digits, '.', '_' and '-', 249 at most".into())
        }
        topic => Ok(topic.to_owned()),
    }
}

fn login(options: &mut Options) -> Result<Option<Login>, String> {
    let mechanism = chosen("sasl", options, &Mechanism::NAMES)?;
    let (user, password) = (options.take("user"), options.take("password_file").map(PathBuf::from));
    match (user, password) {
        (Some(user), Some(password)) if !user.is_empty() && !user.contains(char::is_control) => {
            let mechanism = mechanism.unwrap_or(Mechanism::ScramSha512);
            Ok(Some(Login { user, password, mechanism }))
        }
        (None, None) if mechanism.is_none() => Ok(None),
        _ => {
            Err("user=NAME and password_file=PATH: one is of no use without the other, nor sasl without them"
                .into())
        }
    }
}

fn manner(options: &mut Options) -> Result<Manner, String> {
    let format = chosen("format", options, &Format::NAMES)?.unwrap_or(Format::Json);
    let key = chosen("key", options, &Key::NAMES)?;
    let compression = chosen("compression", options, &Compression::NAMES)?.unwrap_or(Compression::Lz4);
    let key = match (format, key) {
        (Format::Arrow, Some(Key::Flow)) => {
            return Err("key: a message of format=arrow has many flows: host or none".into());
        }
        (Format::Arrow, key) => key.unwrap_or(Key::Host),
        (_, key) => key.unwrap_or(Key::Flow),
    };
    Ok(Manner { format, key, compression })
}

/// Those that may be chosen.
pub(super) fn fields(fields: Vec<&'static Field>, format: Format) -> Result<Vec<&'static Field>, String> {
    let is_there = |name: &&&str| fields.iter().any(|field| field.name == **name);
    match IDENTITY.iter().find(|name| !is_there(name)) {
        _ if format == Format::Protobuf => {
            Err("fields: they cannot be chosen: format=protobuf has fixed fields".into())
        }
        Some(missing) => Err(format!("fields: without {missing} records cannot be told apart")),
        None => Ok(fields),
    }
}
