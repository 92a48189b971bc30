//! Who makes bearer tokens, for tests of those who ask for them.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};

/// A key by which an issuer signs (EdDSA).
pub struct IssuerKey {
    id: String,
    private: EncodingKey,
}

impl IssuerKey {
    /// A new key of this id.
    pub fn new(id: &str) -> Self {
        // PKCS#8 around the 32 bytes of an Ed25519 key (RFC 8410, section 7).
        let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        der.extend(rand::random::<[u8; 32]>());
        Self { id: id.to_owned(), private: EncodingKey::from_ed_der(&der) }
    }

    /// The same under another id.
    #[must_use]
    pub fn under(&self, id: &str) -> Self {
        Self { id: id.to_owned(), private: self.private.clone() }
    }

    /// Its public half, as a JWK (RFC 7517).
    ///
    /// # Panics
    /// When the key cannot be used.
    pub fn public(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.private, Algorithm::EdDSA).expect("the key has a public half");
        let mut jwk = serde_json::to_value(jwk).expect("a JWK is JSON");
        jwk["kid"] = json!(self.id);
        jwk
    }

    /// A token with these claims (RFC 7519).
    ///
    /// # Panics
    /// When the key cannot be used.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with(&Header { kid: Some(self.id.clone()), ..Header::new(Algorithm::EdDSA) }, claims)
    }

    /// The same with a header of one's own.
    ///
    /// # Panics
    /// When the key cannot be used.
    pub fn sign_with(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &self.private).expect("the key signs")
    }
}
