//! Where brokers are, as whom they are spoken to, and what librdkafka is told of it.

use crate::link::{Place, Transport};
use crate::login::{is_loopback, password};
use crate::trust::Security;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

/// Without and within TLS.
pub const PORTS: [u16; 2] = [9092, 9093];

/// A topic, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Who is asked for all brokers.
    pub brokers: Vec<Place>,
    /// Where messages go.
    pub topic: String,
    /// Whom TLS trusts; in the clear without.
    pub security: Option<Security>,
    /// As whom; as nobody without, or as whom our certificate says.
    pub login: Option<Login>,
}

/// A user with a password (SASL).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Its name.
    pub user: String,
    /// The file with the password.
    pub password: PathBuf,
    /// How it is proved.
    pub mechanism: Mechanism,
}

/// How a password is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// It is said (RFC 4616).
    Plain,
    /// By who knows it, to who knows it (RFC 7677).
    ScramSha256,
    /// The same with a longer hash.
    ScramSha512,
}

/// How sets of messages are made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4's frames.
    Lz4,
    /// RFC 8878.
    Zstd,
}

impl Mechanism {
    /// All, by their names in options.
    pub const NAMES: [(&'static str, Self); 3] =
        [("plain", Self::Plain), ("scram-sha-256", Self::ScramSha256), ("scram-sha-512", Self::ScramSha512)];

    /// As IANA has it.
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl Compression {
    /// All, by their names in options, which are librdkafka's.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("none", Self::None),
        ("gzip", Self::Gzip),
        ("snappy", Self::Snappy),
        ("lz4", Self::Lz4),
        ("zstd", Self::Zstd),
    ];

    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, one)| *one == self).map_or("none", |(name, _)| name)
    }
}

impl Cluster {
    /// Sees that one of the brokers can be reached, and from which address of ours.
    pub fn reach(&self) -> io::Result<IpAddr> {
        let mut last = io::Error::other("there are no brokers");
        for place in &self.brokers {
            match self.reach_one(place) {
                Ok(address) => return Ok(address),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn reach_one(&self, place: &Place) -> io::Result<IpAddr> {
        let transport = match &self.security {
            Some(security) => Transport::Tls(place.clone(), security.clone()),
            None => Transport::Tcp(place.clone()),
        };
        let link = transport.connect()?;
        let local = link.local()?;
        link.close();
        Ok(local)
    }

    /// Whether these, of whom a broker has told, may have the password, too.
    pub fn allows<'h>(&self, mut hosts: impl Iterator<Item = &'h str>) -> io::Result<()> {
        let is_secret = self.login.is_some() && self.security.is_none();
        match hosts.find(|host| is_secret && !is_loopback(host)) {
            Some(host) => Err(self.failed(format_args!(
                "a password is not sent in the clear to {host}, which a broker calls one: use kafka+tls"
            ))),
            None => Ok(()),
        }
    }

    /// What librdkafka has to know, with the secrets, and how large a set of messages may become.
    pub fn config(&self, compression: Compression, set: usize) -> io::Result<ClientConfig> {
        let brokers: Vec<_> = self.brokers.iter().map(Place::to_string).collect();
        let mut config = ClientConfig::new();
        config
            .set_log_level(RDKafkaLogLevel::Error)
            .set("bootstrap.servers", brokers.join(","))
            .set("client.id", "weir")
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // As the clients of Java do it: one key is in one partition, whoever sends it.
            .set("partitioner", "murmur2_random")
            .set("compression.codec", compression.name())
            .set("batch.size", set.to_string())
            .set("queue.buffering.max.messages", "20000")
            .set("queue.buffering.max.kbytes", "8192")
            // More than we wait for: what we have given up on ends with its producer.
            .set("message.timeout.ms", "15000")
            .set("request.timeout.ms", "5000")
            .set("socket.timeout.ms", "5000")
            .set("socket.connection.setup.timeout.ms", "5000")
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.max.ms", "1000");
        self.secure(&mut config)?;
        Ok(config)
    }

    fn secure(&self, config: &mut ClientConfig) -> io::Result<()> {
        let protocol = match (&self.security, &self.login) {
            (None, None) => "plaintext",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), None) => "ssl",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        config.set("security.protocol", protocol);
        if let Some(security) = &self.security {
            config.set("ssl.ca.location", security.authorities_file()?.to_string_lossy());
            if let Some(identity) = &security.identity {
                config.set("ssl.certificate.location", identity.certificate.to_string_lossy());
                config.set("ssl.key.location", identity.key.to_string_lossy());
            }
        }
        if let Some(login) = &self.login {
            config.set("sasl.mechanisms", login.mechanism.name());
            config.set("sasl.username", &login.user).set("sasl.password", password(&login.password)?);
        }
        Ok(())
    }

    /// Says where it is.
    pub fn failed(&self, why: impl fmt::Display) -> io::Error {
        let brokers: Vec<_> = self.brokers.iter().map(Place::to_string).collect();
        let (topic, brokers) = (&self.topic, brokers.join(","));
        io::Error::other(format!("cannot send to topic {topic} of {brokers}: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_stays_on_this_host_or_within_tls() {
        let login = Login { user: "u".into(), password: "/p".into(), mechanism: Mechanism::ScramSha512 };
        let mut cluster =
            Cluster { brokers: Vec::new(), topic: "t".into(), security: None, login: Some(login) };
        cluster.allows(["127.0.0.1", "::1", "localhost"].into_iter()).expect("all are here");
        let elsewhere = ["127.0.0.1", "k2.example"];
        let said = cluster.allows(elsewhere.into_iter()).expect_err("one is not").to_string();
        assert!(said.contains("to k2.example"), "{said}");
        cluster.security = Some(Security::default());
        cluster.allows(elsewhere.into_iter()).expect("within TLS");
        (cluster.security, cluster.login) = (None, None);
        cluster.allows(elsewhere.into_iter()).expect("without a password");
    }
}
