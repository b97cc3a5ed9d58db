//! What stands before a broker: within TLS, behind a login, and as bad as a network. What the broker says of where it is, it
//! makes say where the relay is.

pub use crate::common::relay::{Mood, Relay};

use crate::authority::{Authority, Certified};
use crate::common::relay::{HOST, Manner, PEER, Stream};
use crate::sasl::Gate;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use socket2::Socket;
use std::io;
use std::sync::Arc;

/// What it wants of whoever comes.
#[derive(Clone, Default)]
pub struct Wants {
    pub tls: Option<Arc<ServerConfig>>,
    pub login: Option<Gate>,
}

/// TLS for whoever comes, or for whom an authority knows.
pub fn tls(certified: &Certified, clients: Option<&Authority<'_>>) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(&certified.certificate).expect("a file");
    let key = PrivateKeyDer::from_pem_file(&certified.key).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let config = config.with_safe_default_protocol_versions().expect("versions");
    let config = match clients {
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(
                CertificateDer::pem_file_iter(&authority.file).expect("a file").flatten(),
            );
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            config.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
        None => config.with_no_client_auth(),
    };
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("a certificate");
    Arc::new(config.with_single_cert(chain, key).expect("they fit"))
}

impl Manner for Wants {
    fn enter(&self, client: Socket) -> io::Result<Box<dyn Stream>> {
        let mut client: Box<dyn Stream> = match &self.tls {
            Some(config) => {
                let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                Box::new(StreamOwned::new(connection, client))
            }
            None => Box::new(client),
        };
        if let Some(gate) = &self.login {
            gate.pass(&mut client)?;
        }
        Ok(client)
    }

    fn answer(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        let places: Vec<_> = bytes
            .windows(PEER.len())
            .enumerate()
            .filter(|(_, part)| *part == PEER.as_bytes())
            .map(|(at, _)| at)
            .collect();
        for at in places {
            bytes[at..at + HOST.len()].copy_from_slice(HOST.as_bytes());
        }
        bytes
    }
}
