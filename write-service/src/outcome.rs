//! What has come of what a command only began: the status resource that its 202 names, and the wait for it.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, routing::MethodRouter};
use deadpool_postgres::Pool;
use futures::{FutureExt, future::BoxFuture};
use inbox::Seen;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{answer::Answer, conditional, path::Id, prefer::Prefer, problem::Problem, reading::Readable, shell::Shell};

/// Something that a command begins, and of which it is known later what has come of it.
pub(crate) trait Begun: Readable {
    /// Where such things are.
    const COLLECTION: &'static str;

    /// What is told of what has come of it.
    type Outcome: Serialize + JsonSchema;

    /// Whether that is known.
    fn is_known(&self) -> bool;

    /// What has come of it so far; it is at `place`.
    fn outcome(self, place: String) -> Self::Outcome;
}

/// Where it is told what has come of the one of this id.
pub(crate) fn path<D: Begun>(id: &str) -> String {
    format!("{}/{id}/outcome", D::COLLECTION)
}

/// The answer to a command that began it, once it is known what has come of it.
pub(crate) fn of<'a, D: Begun>(pool: &'a Pool, begun: &'a Answer) -> BoxFuture<'a, Result<Option<Answer>, Problem>> {
    async move {
        let Some(id) = begun.read_after().and_then(|token| D::Id::try_from(token.subject).ok()) else {
            return Ok(None);
        };
        match D::find(pool, &id).await? {
            Some(document) if document.is_known() => Ok(Some(begun.clone().ended(D::COLLECTION, &document)?)),
            _ => Ok(None),
        }
    }
    .boxed()
}

/// The route of the status resource.
pub(crate) fn get<D: Begun>() -> MethodRouter<Arc<Shell>> {
    axum::routing::get(outcome::<D>)
}

async fn outcome<D: Begun>(
    State(shell): State<Arc<Shell>>,
    Id(id): Id<D::Id>,
    headers: HeaderMap,
) -> Result<Answer, Problem> {
    let look = || async {
        let document = D::find(&shell.pool, &id).await?;
        let document = document.ok_or_else(|| Problem::not_found("Nothing has this id."))?;
        Ok::<_, Problem>(if document.is_known() { Seen::Final(document) } else { Seen::NotYet(document) })
    };
    let prefer = Prefer::of(&headers);
    let document = shell.applied.look_until(prefer.deadline(), look).await?;
    let etag = conditional::etag(D::REVISION, document.version());
    let place = format!("{}/{}", D::COLLECTION, document.subject());
    let mut answer = Answer::tagged(&headers, &etag, &document.outcome(place))?;
    prefer.applied(&mut answer.headers);
    Ok(answer)
}
