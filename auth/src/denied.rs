//! Why a request is not done, and how HTTP says that.

use http::{HeaderValue, StatusCode};

/// Why not. The text is for the client, and holds nothing of the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is no token.
    #[error("a bearer token is required, in the header Authorization")]
    Missing,
    /// The header is not one that has a token.
    #[error("the header Authorization {0}")]
    Malformed(&'static str),
    /// The token is not good here.
    #[error("the token {0}")]
    Invalid(&'static str),
    /// The token is good, but not for this.
    #[error("the token has not the scope {0}")]
    Insufficient(String),
    /// The issuer's keys are not there, so that nobody can tell.
    #[error("tokens cannot be checked at the moment")]
    Unavailable,
}

impl Denied {
    /// The status of the answer, by RFC 6750, section 3.1.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Missing | Self::Invalid(_) => StatusCode::UNAUTHORIZED,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Insufficient(_) => StatusCode::FORBIDDEN,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The value of `WWW-Authenticate`, by RFC 6750, section 3. A request without a token is told nothing but the scheme.
    pub fn challenge(&self) -> Option<HeaderValue> {
        let text = match self {
            Self::Missing => "Bearer realm=\"waybill\"".to_owned(),
            Self::Malformed(_) => challenge("invalid_request", self),
            Self::Invalid(_) => challenge("invalid_token", self),
            Self::Insufficient(scope) => format!("{}, scope=\"{scope}\"", challenge("insufficient_scope", self)),
            Self::Unavailable => return None,
        };
        HeaderValue::from_str(&text).ok()
    }
}

fn challenge(error: &str, denied: &Denied) -> String {
    format!("Bearer realm=\"waybill\", error=\"{error}\", error_description=\"{denied}\"")
}
