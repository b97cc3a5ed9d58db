//! Certificates of a cluster of the test's own.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use std::sync::Arc;

/// A CA, what the server has from it, and what a client has.
pub struct Certificates {
    /// The CA, in PEM.
    pub authority: String,
    /// A client's certificate and its key, in PEM.
    pub client: (String, String),
    /// What the server shows.
    pub(super) server: Arc<ServerConfig>,
}

impl Certificates {
    /// For a server on loopback.
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, key()).expect("a CA");
        let (server_key, client_key) = (key(), key());
        let server = CertificateParams::new(vec!["127.0.0.1".into(), "::1".into(), "localhost".into()]);
        let server = server.expect("names").signed_by(&server_key, &authority).expect("a certificate");
        let client = CertificateParams::new(vec!["weir".into()]).expect("a name");
        let client = client.signed_by(&client_key, &authority).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.der().clone()).expect("a root");
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(clients.allow_unauthenticated().build().expect("a verifier"))
            .with_single_cert(
                vec![server.der().clone()],
                PrivateKeyDer::Pkcs8(server_key.serialize_der().into()),
            )
            .expect("a key that fits");
        Self {
            authority: authority.pem(),
            client: (client.pem(), client_key.serialize_pem()),
            server: Arc::new(config),
        }
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}
