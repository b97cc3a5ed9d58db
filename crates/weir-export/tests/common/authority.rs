//! An authority of a test's own, and what it signs.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use weir_tests::folder::Folder;

pub struct Authority<'f> {
    folder: &'f Folder,
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Its certificate, in a file.
    pub file: String,
}

/// A certificate and its key, in files.
#[derive(Clone)]
pub struct Certified {
    pub certificate: String,
    pub key: String,
}

impl<'f> Authority<'f> {
    pub fn new(folder: &'f Folder, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, key()).expect("an authority");
        let file = folder.write(&format!("{name}.ca"), issuer.pem());
        Self { folder, issuer, file }
    }

    /// For whoever is called so.
    pub fn signs(&self, names: &[&str]) -> Certified {
        self.signs_as(params(names))
    }

    pub fn signs_as(&self, params: CertificateParams) -> Certified {
        let key = key();
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        certified(self.folder, &certificate.pem(), &key)
    }
}

pub fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("names")
}

pub fn self_signed(folder: &Folder, params: CertificateParams) -> Certified {
    let key = key();
    certified(folder, &params.self_signed(&key).expect("a certificate").pem(), &key)
}

fn certified(folder: &Folder, certificate: &str, key: &KeyPair) -> Certified {
    let number = std::fs::read_dir(folder.place()).expect("a folder").count();
    Certified {
        certificate: folder.write(&format!("{number}.pem"), certificate),
        key: folder.write(&format!("{number}.key"), key.serialize_pem()),
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}
