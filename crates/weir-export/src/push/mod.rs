//! What `/metrics` says, pushed: to Prometheus or who speaks like it (remote write 1.0), or as OpenTelemetry's metrics (OTLP).
//!
//! ```text
//! page ─► families ─► requests ─► queue, some minutes in memory ─► server
//!                                   └ too old, or no room: dropped, and counted
//! ```

pub mod otlp;
pub mod page;
pub mod pusher;
pub mod remote_write;
mod running;

pub use self::pusher::Pusher;
pub use self::running::{Pushed, Running};

use self::otlp::Metrics;
use self::page::Labels;
use self::pusher::Spoken;
use self::remote_write::{Receiver, Samples};
use crate::client::Address;
use crate::courier::Tell;
use crate::otlp::{Endpoint, METRICS, Resource};
use crate::target::options::{Options, address, endpoint};

/// Whom it is pushed to, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// What status and metrics call it: the URL without its options, unless these name it.
    pub name: String,
    protocol: Protocol,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Protocol {
    RemoteWrite { address: Address, job: String, instance: Option<String> },
    Otlp(Endpoint, Resource),
}

impl Push {
    /// By remote write, where the URL says.
    ///
    /// # Errors
    /// It says no such thing.
    pub fn remote_write(text: &str) -> Result<Self, String> {
        let (base, mut options) = parts(text);
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err("remote write goes to http://HOST/PATH or https://HOST/PATH".into());
        }
        let mut address = address(base, &mut options)?;
        let name = options.word("name")?.unwrap_or_else(|| base.to_owned());
        let job = options.word("job")?.unwrap_or_else(|| "weir".into());
        let instance = options.word("instance")?;
        options.pass_on(&mut address)?;
        Ok(Self { name, protocol: Protocol::RemoteWrite { address, job, instance } })
    }

    /// By OTLP, where the URL says.
    ///
    /// # Errors
    /// It says no such thing.
    pub fn otlp(text: &str) -> Result<Self, String> {
        let (base, mut options) = parts(text);
        if !["http", "https", "grpc", "grpcs"].iter().any(|kind| base.starts_with(&format!("otlp+{kind}://")))
        {
            return Err(
                "metrics go to otlp+http://HOST, otlp+https://HOST, otlp+grpc://HOST or otlp+grpcs://HOST"
                    .into(),
            );
        }
        let mut endpoint = endpoint(base, &METRICS, &mut options)?;
        let name = options.word("name")?.unwrap_or_else(|| base.to_owned());
        match &mut endpoint {
            Endpoint::Http(address) => options.pass_on(address)?,
            Endpoint::Grpc(_) => options.none()?,
        }
        Ok(Self { name, protocol: Protocol::Otlp(endpoint, Resource::here()?) })
    }

    /// Who pushes: as this instance, where the URL or the environment says no other.
    pub fn pusher(&self, instance: String, tell: Tell) -> Pusher {
        let spoken: Spoken = match &self.protocol {
            Protocol::RemoteWrite { address, job, instance: named } => {
                let instance = named.clone().unwrap_or(instance);
                let own = Labels::from([("job".into(), job.clone()), ("instance".into(), instance)]);
                (Box::new(Receiver::new(address.clone())), Box::new(Samples::new(own)))
            }
            Protocol::Otlp(endpoint, resource) => {
                let resource = resource.clone().instance(instance);
                (endpoint.carrier(&METRICS), Box::new(Metrics::new(resource)))
            }
        };
        Pusher::new(self.name.clone(), spoken, tell)
    }
}

fn parts(text: &str) -> (&str, Options) {
    let (base, query) = text.split_once('?').unwrap_or((text, ""));
    (base, Options::of(query))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(url: &str) -> String {
        Push::remote_write(url).expect_err("a mistake")
    }

    #[test]
    fn a_url_says_whom_and_as_what() {
        let url = "https://in.example/api/v1/write?token_file=/t&tenant=7&instance=a";
        let push = Push::remote_write(url).expect("a URL");
        assert_eq!(push.name, "https://in.example/api/v1/write");
        let Protocol::RemoteWrite { address, job, instance } = push.protocol else { panic!("remote write") };
        assert_eq!(address.url, "https://in.example/api/v1/write?tenant=7");
        assert_eq!((job.as_str(), instance.as_deref()), ("weir", Some("a")));
        assert!(address.login.is_some());
    }

    #[test]
    fn metrics_of_opentelemetry() {
        let push = Push::otlp("otlp+http://o.example?tenant=7&name=o").expect("a URL");
        assert_eq!(push.name, "o");
        let Protocol::Otlp(Endpoint::Http(address), _) = push.protocol else { panic!("over HTTP") };
        assert_eq!(address.url, "http://o.example:4318/v1/metrics?tenant=7");
        let push = Push::otlp("otlp+grpcs://o.example?token_file=/t").expect("a URL");
        let Protocol::Otlp(Endpoint::Grpc(address), _) = push.protocol else { panic!("over gRPC") };
        assert_eq!((address.place.port, address.login.is_some()), (4317, true));
    }

    #[test]
    fn mistakes_say_what_to_do() {
        assert!(mistake("in.example").starts_with("remote write goes to http://"));
        assert!(mistake("https://a:b@in.example/").contains("password_file=PATH"));
        assert!(mistake("http://in.example/?token_file=/t").ends_with("use https"));
        assert!(mistake("https://in.example/?job=").starts_with("job:"));
        let mistake = |url| Push::otlp(url).expect_err("a mistake");
        assert!(mistake("http://o.example").starts_with("metrics go to otlp+http://HOST"));
        assert!(mistake("otlp+grpc://o.example?tenant=7").contains("no option tenant"));
        assert!(mistake("otlp+grpc://o.example?token_file=/t").ends_with("use grpcs"));
        assert!(mistake("otlp+http://o.example?name=").starts_with("name:"));
    }
}
