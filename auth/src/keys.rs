//! The issuer's public keys (a JWK set, RFC 7517).
//!
//! They are read at the start, from time to time, and when a token names one that is not known, though not more often than
//! every few seconds, whatever tokens come. Only keys for signatures that a public key checks are taken (RFC 8725, 3.1 and
//! 3.2): never a shared secret, and of RSA none that is too short.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};
use reqwest::Client;
use telemetry::{CancellationToken, backoff::Backoff, health::Part};
use tokio::{sync::Mutex, time::Instant};

use crate::{Denied, settings::Source};

/// How often the keys are read again.
const OFTEN: Duration = Duration::from_secs(300);
/// And at most, whatever tokens name.
const SELDOM: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(5);
/// A set is not longer than this, in bytes, and has no more keys than this.
const LONGEST: usize = 256 * 1024;
const MOST: usize = 100;
/// The shortest modulus of RSA, in characters of base64url: 2,048 bits.
const SHORTEST_MODULUS: usize = 342;

/// A key, and what it may be used for.
pub(crate) struct Key {
    id: Option<String>,
    pub(crate) key: DecodingKey,
    pub(crate) algorithms: Vec<Algorithm>,
}

/// The keys of an issuer.
pub(crate) struct Keys {
    source: Source,
    http: Client,
    known: RwLock<Vec<Arc<Key>>>,
    /// When they were read last, or tried to be.
    read_at: Mutex<Option<Instant>>,
}

impl Keys {
    pub(crate) fn at(source: Source) -> std::io::Result<Self> {
        let http = Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(std::io::Error::other)?;
        Ok(Self { source, http, known: RwLock::default(), read_at: Mutex::default() })
    }

    /// Reads them from time to time.
    pub(crate) async fn keep(&self, part: &Part, shutdown: &CancellationToken) {
        let mut backoff = Backoff::for_connecting();
        loop {
            let mut read_at = self.read_at.lock().await;
            let read = self.read().await;
            *read_at = Some(Instant::now());
            drop(read_at);
            let wait = match read {
                Ok(()) => {
                    part.ready();
                    backoff.reset();
                    OFTEN
                }
                Err(reason) => {
                    tracing::warn!(%reason, "the keys that tokens are checked by cannot be read");
                    // The old ones are good as long as there are no new ones.
                    if self.is_empty() {
                        part.not_ready(format!("the keys that tokens are checked by cannot be read: {reason}"));
                    }
                    backoff.next_wait()
                }
            };
            if shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return;
            }
        }
    }

    /// The key of this id; without one, the only key.
    pub(crate) async fn find(&self, id: Option<&str>) -> Result<Arc<Key>, Denied> {
        if let Some(key) = self.known(id) {
            return Ok(key);
        }
        let mut read_at = self.read_at.lock().await;
        // Somebody may have read them while this waited.
        if let Some(key) = self.known(id) {
            return Ok(key);
        }
        if read_at.is_none_or(|at| at.elapsed() >= SELDOM) {
            if let Err(reason) = self.read().await {
                tracing::debug!(%reason, "the keys that tokens are checked by cannot be read");
            }
            *read_at = Some(Instant::now());
        }
        drop(read_at);
        let unknown =
            if self.is_empty() { Denied::Unavailable } else { Denied::Invalid("is signed by an unknown key") };
        self.known(id).ok_or(unknown)
    }

    fn known(&self, id: Option<&str>) -> Option<Arc<Key>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match id {
            Some(id) => known.iter().find(|key| key.id.as_deref() == Some(id)).cloned(),
            None if known.len() == 1 => known.first().cloned(),
            None => None,
        }
    }

    fn is_empty(&self) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    async fn read(&self) -> Result<(), String> {
        let bytes = match &self.source {
            Source::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
                read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?
            }
            Source::Url(url) => self.fetch(url.clone()).await?,
        };
        let keys = read(&bytes)?;
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    async fn fetch(&self, url: reqwest::Url) -> Result<Vec<u8>, String> {
        let failed = |error: reqwest::Error| telemetry::database::reason(&error.without_url());
        let mut response =
            self.http.get(url).send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LONGEST {
                return Err(format!("it has more than {LONGEST} bytes"));
            }
        }
        Ok(bytes)
    }
}

/// The keys of a set that can be used here.
fn read(bytes: &[u8]) -> Result<Vec<Arc<Key>>, String> {
    if bytes.len() > LONGEST {
        return Err(format!("it has more than {LONGEST} bytes"));
    }
    let set: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| format!("no JSON: {error}"))?;
    let keys = set["keys"].as_array().ok_or("no JWK set: it has no member keys")?;
    // One of a kind that is not known here is no reason to refuse the others (RFC 7517, section 5).
    let known = keys.iter().take(MOST).filter_map(|key| serde_json::from_value::<Jwk>(key.clone()).ok());
    let keys: Vec<_> = JwkSet { keys: known.collect() }.keys.iter().filter_map(key).map(Arc::new).collect();
    if keys.is_empty() { Err("it has no key for signatures that is known here".to_owned()) } else { Ok(keys) }
}

fn key(jwk: &Jwk) -> Option<Key> {
    if jwk.common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
        return None;
    }
    let possible = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) if rsa.n.len() >= SHORTEST_MODULUS => vec![
            (KeyAlgorithm::RS256, Algorithm::RS256),
            (KeyAlgorithm::RS384, Algorithm::RS384),
            (KeyAlgorithm::RS512, Algorithm::RS512),
            (KeyAlgorithm::PS256, Algorithm::PS256),
            (KeyAlgorithm::PS384, Algorithm::PS384),
            (KeyAlgorithm::PS512, Algorithm::PS512),
        ],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            vec![(KeyAlgorithm::ES256, Algorithm::ES256)]
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => {
            vec![(KeyAlgorithm::ES384, Algorithm::ES384)]
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            vec![(KeyAlgorithm::EdDSA, Algorithm::EdDSA)]
        }
        _ => return None,
    };
    let named = jwk.common.key_algorithm.as_ref();
    let algorithms: Vec<_> =
        possible.into_iter().filter(|(name, _)| named.is_none_or(|it| it == name)).map(|(_, it)| it).collect();
    let key = DecodingKey::from_jwk(jwk).ok().filter(|_| !algorithms.is_empty())?;
    Some(Key { id: jwk.common.key_id.clone(), key, algorithms })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    fn count(keys: &[&str]) -> Option<usize> {
        read(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes()).ok().map(|keys| keys.len())
    }

    #[test]
    fn only_public_keys_for_signatures_are_taken() {
        let short = "A".repeat(SHORTEST_MODULUS - 1);
        let refused = [
            r#"{"kty":"oct","k":"c2VjcmV0","kid":"s","alg":"HS256"}"#.to_owned(),
            format!(r#"{{"kty":"RSA","n":"{short}","e":"AQAB","kid":"r"}}"#),
            ED.replace("\"kid\"", "\"use\":\"enc\",\"kid\""),
            ED.replace("\"kid\"", "\"alg\":\"ES256\",\"kid\""),
            r#"{"kty":"LATTICE"}"#.to_owned(),
        ];
        for key in &refused {
            assert_eq!(count(&[key]), None, "{key}");
            assert_eq!(count(&[key, ED]), Some(1), "{key}");
        }
        for text in ["", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":[]}"#] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read(&vec![b' '; LONGEST + 1]).is_err());
    }
}
