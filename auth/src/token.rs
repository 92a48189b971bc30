//! A token: where it is in a request, and whether it is good.

use std::collections::BTreeSet;

use http::{HeaderMap, header::AUTHORIZATION};
use jsonwebtoken::{Header, TokenData, Validation, decode, decode_header, errors::ErrorKind};
use serde::Deserialize;

use crate::{Denied, keys::Key};

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 8 * 1024;
/// What the clocks of issuer and service may differ by, in seconds.
const LEEWAY: u64 = 30;
/// The longest name of who asks, in bytes.
const LONGEST_SUBJECT: usize = 255;

/// Who has sent a request, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The claim `sub`: who it is, to the issuer.
    pub subject: String,
    /// The claim `exp`: until when the token is good, in seconds since 1970, without what clocks may differ by.
    pub expires_at: u64,
    scopes: BTreeSet<String>,
}

impl Bearer {
    /// Whether the token is for this.
    ///
    /// # Errors
    /// When it is not.
    pub fn may(&self, scope: &str) -> Result<(), Denied> {
        if self.scopes.contains(scope) { Ok(()) } else { Err(Denied::Insufficient(scope.to_owned())) }
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    /// A number that need not be whole (RFC 7519, section 2).
    exp: f64,
    /// Scopes, separated by blanks (RFC 8693, section 4.2).
    #[serde(default)]
    scope: String,
}

/// The token of a request (RFC 6750, section 2.1).
pub(crate) fn of(headers: &HeaderMap) -> Result<&str, Denied> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let line = match (lines.next(), lines.next()) {
        (None, _) => return Err(Denied::Missing),
        (Some(_), Some(_)) => return Err(Denied::Malformed("is there more than once")),
        (Some(line), None) => line.to_str().map_err(|_| Denied::Malformed("is not text"))?,
    };
    let (scheme, token) = line.split_once(' ').unwrap_or((line, ""));
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") {
        // Another scheme is no token (RFC 6750, section 3).
        return Err(Denied::Missing);
    }
    if token.is_empty() || token.contains(' ') {
        return Err(Denied::Malformed("has to be: Bearer, a blank, and the token"));
    }
    if token.len() > LONGEST {
        return Err(Denied::Invalid("is too long"));
    }
    Ok(token)
}

/// Its header, of which nothing is believed yet.
pub(crate) fn header(token: &str) -> Result<Header, Denied> {
    let header = decode_header(token).map_err(|_| Denied::Invalid("is no signed JWT"))?;
    let is_access_token =
        |typ: &String| ["jwt", "at+jwt", "application/at+jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known));
    if header.crit.is_some() || header.enc.is_some() || !header.typ.as_ref().is_none_or(is_access_token) {
        return Err(Denied::Invalid("is of another kind than access tokens are"));
    }
    Ok(header)
}

/// Checks its signature, from whom and for whom it is, and that it has not expired.
pub(crate) fn check(token: &str, header: &Header, key: &Key, issuer: &str, audience: &str) -> Result<Bearer, Denied> {
    // What the key is for decides, not what the token says that it is signed by (RFC 8725, section 3.1).
    let mut validation = Validation::new(header.alg);
    validation.algorithms.clone_from(&key.algorithms);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    let TokenData { claims, .. } = decode::<Claims>(token, &key.key, &validation).map_err(|error| {
        Denied::Invalid(match error.kind() {
            ErrorKind::ExpiredSignature => "has expired",
            ErrorKind::ImmatureSignature => "is not valid yet",
            ErrorKind::InvalidIssuer => "is from another issuer",
            ErrorKind::InvalidAudience => "is meant for another audience",
            ErrorKind::InvalidSignature => "has a signature that is not its issuer's",
            ErrorKind::InvalidAlgorithm => "is signed by another algorithm than its key is for",
            ErrorKind::MissingRequiredClaim(_) => "lacks one of the claims exp, iss, aud, sub",
            _ => "cannot be read",
        })
    })?;
    if claims.sub.is_empty() || claims.sub.len() > LONGEST_SUBJECT || claims.sub.chars().any(char::is_control) {
        return Err(Denied::Invalid("has a sub that is empty, too long or not plain text"));
    }
    let scopes = claims.scope.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    Ok(Bearer { subject: claims.sub, expires_at: claims.exp as u64, scopes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn token(lines: &[&str]) -> Result<String, Denied> {
        let headers = lines.iter().map(|line| (AUTHORIZATION, HeaderValue::from_str(line).unwrap())).collect();
        of(&headers).map(str::to_owned)
    }

    #[test]
    fn a_token_is_behind_its_scheme() {
        for line in ["Bearer a.b.c", "bearer  a.b.c", "BEARER a.b.c"] {
            assert_eq!(token(&[line]).as_deref(), Ok("a.b.c"), "{line}");
        }
        for lines in [&[] as &[_], &["Basic YTpi"], &["a.b.c"]] {
            assert_eq!(token(lines), Err(Denied::Missing), "{lines:?}");
        }
        for lines in [&["Bearer"] as &[_], &["Bearer a b"], &["Bearer a", "Bearer a"]] {
            assert!(matches!(token(lines), Err(Denied::Malformed(_))), "{lines:?}");
        }
        assert!(matches!(token(&[&format!("Bearer {}", "a".repeat(LONGEST + 1))]), Err(Denied::Invalid(_))));
    }
}
