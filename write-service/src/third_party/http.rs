//! Asking over HTTP, bounded in time and in what is read. Whatever goes wrong on the way is no answer, and is told without the
//! address, which may hold a secret.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, redirect::Policy};

/// How long one try may take: shorter than the lease of whoever tries.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: usize = 64 << 10;

/// For how long whoever has taken something out of a queue has it: longer than one try.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// Why nobody knows what became of a question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unknown(pub(crate) String);

impl From<reqwest::Error> for Unknown {
    fn from(error: reqwest::Error) -> Self {
        Self(error.without_url().to_string())
    }
}

/// A client that goes nowhere but where it is sent.
///
/// # Errors
/// When TLS cannot be set up.
pub(crate) fn client() -> Result<Client, reqwest::Error> {
    Client::builder().timeout(TIMEOUT).redirect(Policy::none()).build()
}

/// Asks, and reads the answer to its end.
pub(crate) async fn ask(request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), Unknown> {
    let mut response = request.send().await?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(Unknown(format!("an answer of more than {LARGEST_ANSWER} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((response.status(), body))
}
