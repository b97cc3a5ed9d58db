//! What a server asks for to believe in a password that it is not told (RFC 5802; with SHA-256 in RFC 7677).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Algorithm, SHA256, SHA512, digest};
use ring::hmac::{self, HMAC_SHA256, HMAC_SHA512};
use ring::pbkdf2::{self, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512};
use std::num::NonZeroU32;

const SALT: &[u8] = b"salt of the test";
const ROUNDS: NonZeroU32 = NonZeroU32::new(4096).expect("some");

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    fn algorithms(self) -> (&'static Algorithm, hmac::Algorithm, pbkdf2::Algorithm) {
        match self {
            Self::Sha256 => (&SHA256, HMAC_SHA256, PBKDF2_HMAC_SHA256),
            Self::Sha512 => (&SHA512, HMAC_SHA512, PBKDF2_HMAC_SHA512),
        }
    }
}

/// A client that has said who it is, with the answer to that.
pub struct Exchange {
    hash: Hash,
    client_first: String,
    pub server_first: String,
}

impl Exchange {
    /// `n,,n=USER,r=NONCE`
    pub fn begin(hash: Hash, said: &str, user: &str) -> Option<Self> {
        let client_first = said.strip_prefix("n,,")?;
        let nonce = client_first.strip_prefix(&format!("n={user},r="))?;
        let server_first = format!("r={nonce}more,s={},i={ROUNDS}", STANDARD.encode(SALT));
        Some(Self { hash, client_first: client_first.into(), server_first })
    }

    /// `c=biws,r=NONCE,p=PROOF`: with our own proof that we know the password, too.
    pub fn end(&self, said: &str, password: &str) -> Option<String> {
        let (digest_of, hmac_of, salted_by) = self.hash.algorithms();
        let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(hmac_of, key), text);
        let (without_proof, proof) = said.split_once(",p=")?;
        let nonce = self.server_first.split_once(',')?.0;
        if without_proof != format!("c=biws,{nonce}") {
            return None;
        }
        let mut salted = vec![0; digest_of.output_len()];
        pbkdf2::derive(salted_by, ROUNDS, SALT, password.as_bytes(), &mut salted);
        let stored = digest(digest_of, sign(&salted, b"Client Key").as_ref());
        let all = format!("{},{},{without_proof}", self.client_first, self.server_first);
        let signature = sign(stored.as_ref(), all.as_bytes());
        let proof = STANDARD.decode(proof).ok()?;
        let key: Vec<u8> = proof.iter().zip(signature.as_ref()).map(|(one, other)| one ^ other).collect();
        let is_known = digest(digest_of, &key).as_ref() == stored.as_ref();
        let ours = sign(sign(&salted, b"Server Key").as_ref(), all.as_bytes());
        is_known.then(|| format!("v={}", STANDARD.encode(ours)))
    }
}
