//! What a broker does with a login (KIP-152): ApiVersions, SaslHandshake, SaslAuthenticate. The rest is the broker's that
//! is behind it.

use crate::scram::{Exchange, Hash};
use std::io::{self, Read, Write};

/// Apis, with the versions that librdkafka's own cluster has of them: Produce, Fetch, ListOffsets, Metadata, SaslHandshake,
/// ApiVersions, InitProducerId, SaslAuthenticate.
const APIS: [(i16, i16, i16); 8] =
    [(0, 0, 7), (1, 0, 4), (2, 0, 2), (3, 0, 2), (17, 0, 1), (18, 0, 0), (22, 0, 1), (36, 0, 0)];
const UNSUPPORTED_VERSION: i16 = 35;
const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
const SASL_AUTHENTICATION_FAILED: i16 = 58;

/// Lets in whoever knows that.
#[derive(Clone)]
pub struct Gate {
    pub user: &'static str,
    pub password: &'static str,
    pub mechanism: Mechanism,
}

/// How it is proved.
#[derive(Clone, Copy)]
pub enum Mechanism {
    Plain,
    Scram(Hash),
}

impl Mechanism {
    /// As SaslHandshake has it.
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Scram(Hash::Sha256) => "SCRAM-SHA-256",
            Self::Scram(Hash::Sha512) => "SCRAM-SHA-512",
        }
    }
}

struct Request {
    api: i16,
    version: i16,
    correlation: [u8; 4],
    body: Vec<u8>,
}

impl Gate {
    /// Until somebody is let in.
    pub fn pass(&self, client: &mut (impl Read + Write + ?Sized)) -> io::Result<()> {
        let mut exchange = None;
        loop {
            let request = read(client)?;
            let mut answer = Vec::new();
            let mut is_in = false;
            match request.api {
                18 if request.version > 0 => {
                    answer.extend(UNSUPPORTED_VERSION.to_be_bytes());
                    put_apis(&mut answer);
                }
                18 => {
                    answer.extend(0_i16.to_be_bytes());
                    put_apis(&mut answer);
                }
                17 => {
                    let name = self.mechanism.name();
                    let is_ours = request.body.get(2..) == Some(name.as_bytes());
                    answer.extend(if is_ours { 0 } else { UNSUPPORTED_SASL_MECHANISM }.to_be_bytes());
                    answer.extend(1_i32.to_be_bytes());
                    answer.extend((name.len() as i16).to_be_bytes());
                    answer.extend(name.as_bytes());
                }
                36 => {
                    let said = request.body.get(4..).unwrap_or_default();
                    let told = self.hear(&mut exchange, &String::from_utf8_lossy(said));
                    is_in = matches!(told, Some((true, _)));
                    let why = "Authentication failed: Invalid username or password";
                    answer.extend(if told.is_some() { 0 } else { SASL_AUTHENTICATION_FAILED }.to_be_bytes());
                    answer.extend((why.len() as i16).to_be_bytes());
                    answer.extend(why.as_bytes());
                    let (_, told) = told.unwrap_or_default();
                    answer.extend((told.len() as i32).to_be_bytes());
                    answer.extend(told.as_bytes());
                }
                _ => return Err(io::Error::other("nobody is in yet")),
            }
            let length = (answer.len() + 4) as i32;
            client.write_all(&[&length.to_be_bytes(), &request.correlation[..], &answer].concat())?;
            client.flush()?;
            if is_in {
                return Ok(());
            }
        }
    }

    /// Whether it is in by that, and what it is told; nothing where it is not, and will not be.
    fn hear(&self, exchange: &mut Option<Exchange>, said: &str) -> Option<(bool, String)> {
        match (self.mechanism, exchange) {
            (Mechanism::Plain, _) => {
                let is_known = said == format!("\0{}\0{}", self.user, self.password);
                is_known.then(|| (true, String::new()))
            }
            (Mechanism::Scram(hash), exchange @ None) => {
                let begun = exchange.insert(Exchange::begin(hash, said, self.user)?);
                Some((false, begun.server_first.clone()))
            }
            (Mechanism::Scram(_), Some(begun)) => Some((true, begun.end(said, self.password)?)),
        }
    }
}

fn put_apis(answer: &mut Vec<u8>) {
    answer.extend((APIS.len() as i32).to_be_bytes());
    for (api, least, most) in APIS {
        [api, least, most].iter().for_each(|number| answer.extend(number.to_be_bytes()));
    }
}

/// Length, api, version, correlation, client, and what is asked.
fn read(client: &mut (impl Read + ?Sized)) -> io::Result<Request> {
    let mut length = [0; 4];
    client.read_exact(&mut length)?;
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    client.read_exact(&mut bytes)?;
    let number = |at: usize| i16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let from = 10 + number(8) as usize;
    let correlation = [bytes[4], bytes[5], bytes[6], bytes[7]];
    Ok(Request { api: number(0), version: number(2), correlation, body: bytes[from..].to_vec() })
}
