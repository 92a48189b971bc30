//! `Read-After` on a command: it decides only once its context has seen what the client has seen elsewhere.

use axum::http::HeaderMap;
use contracts::ReadAfter;
use deadpool_postgres::Pool;
use tokio::time::Instant;

use crate::{database, problem::Problem, shell::Shell};

/// More tokens than this are refused.
const MOST_TOKENS: usize = 8;

/// The tokens of a request, separated by commas.
pub(crate) fn tokens(headers: &HeaderMap) -> Result<Vec<ReadAfter>, Problem> {
    let invalid = |reason: &str| Problem::invalid_header("Read-After", reason);
    let mut tokens = Vec::new();
    for value in headers.get_all(ReadAfter::HEADER) {
        let text = value.to_str().map_err(|_| invalid("is not text"))?;
        for token in text.split(',') {
            let unknown = |_| invalid("has to be what a command has answered in its own Read-After header");
            tokens.push(token.trim().parse().map_err(unknown)?);
        }
    }
    if tokens.len() > MOST_TOKENS {
        return Err(invalid("has too many tokens"));
    }
    Ok(tokens)
}

/// A context's copy of another one's aggregates.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    /// The topic that it is made from.
    pub(crate) topic: &'static str,
    /// A query whose one value is the version of the copy of `$1`, or no row.
    pub(crate) version: &'static str,
}

/// Waits until the context's copies have what the tokens name. Its own aggregates are always up to date.
pub(crate) async fn wait(shell: &Shell, tokens: &[ReadAfter]) -> Result<(), Problem> {
    let deadline = Instant::now() + shell.read_after_timeout;
    for token in tokens {
        if shell.context.topics.iter().any(|topic| topic.name == token.topic) {
            continue;
        }
        let Some(copy) = shell.context.copies.iter().find(|copy| copy.topic == token.topic) else {
            let reason = "names something of which this context keeps no copy: leave it out here";
            return Err(Problem::invalid_header("Read-After", reason));
        };
        if !shell.applied.wait_until(deadline, || is_there(&shell.pool, copy, token)).await? {
            let detail = "What Read-After names has not arrived here yet. Send the command again.";
            return Err(Problem::conflict("not-yet-visible", "Not yet visible", detail).retry_after(1));
        }
    }
    Ok(())
}

async fn is_there(pool: &Pool, copy: &Copy, token: &ReadAfter) -> Result<bool, database::Error> {
    let client = pool.get().await?;
    let statement = client.prepare_cached(copy.version).await?;
    let row = client.query_opt(&statement, &[&token.subject]).await?;
    let version: Option<i64> = row.map(|row| row.try_get(0)).transpose()?;
    Ok(version >= Some(token.version.get()))
}
