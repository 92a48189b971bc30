//! Who asks, and what for: bearer tokens (JWT), checked by the keys of their issuer.
//!
//! ```text
//! settings   --auth-jwks, --auth-issuer, --auth-audience; none of them: everybody may do everything
//! keys       the issuer's public keys (JWKS, RFC 7517), read from a file or a URL, and again when a token names a new one
//! token      a token's signature and claims, by the rules of RFC 8725 and RFC 9068
//! denied     why not, and how HTTP says that (RFC 6750)
//! ```

mod denied;
mod keys;
mod settings;
mod token;

pub use denied::Denied;
pub use settings::{AuthArgs, AuthSettings, Source};
pub use token::Bearer;

use http::HeaderMap;
use keys::Keys;
use telemetry::{CancellationToken, health::Part};

/// Checks tokens.
pub struct Auth {
    keys: Keys,
    issuer: String,
    audience: String,
}

impl Auth {
    /// By these settings. The keys are not there yet.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: AuthSettings) -> std::io::Result<Self> {
        let AuthSettings { source, issuer, audience } = settings;
        Ok(Self { keys: Keys::at(source)?, issuer, audience })
    }

    /// Reads the keys, and again from time to time, until the token is cancelled; says through `part` whether there are any.
    pub async fn keep_keys(&self, part: &Part, shutdown: &CancellationToken) {
        self.keys.keep(part, shutdown).await;
    }

    /// Who has sent a request.
    ///
    /// # Errors
    /// When it has no token that is good here, or nobody can tell.
    pub async fn bearer(&self, headers: &HeaderMap) -> Result<Bearer, Denied> {
        let text = token::of(headers)?;
        let header = token::header(text)?;
        let key = self.keys.find(header.kid.as_deref()).await?;
        token::check(text, &header, &key, &self.issuer, &self.audience)
    }
}
