//! Reading documents: as they are now, or 304 where the client has them.

use std::{fmt::Display, sync::Arc};

use axum::{extract::State, http::HeaderMap, routing::MethodRouter};
use contracts::id::InvalidId;
use deadpool_postgres::Pool;
use schemars::JsonSchema;

use crate::{answer::Answer, database, outbox::Document, path::Id, problem::Problem, shell::Shell};

/// A document that is read by its id.
pub(crate) trait Readable: Document + JsonSchema + Send + Sync + Sized + 'static {
    /// What its path names.
    type Id: TryFrom<String, Error = InvalidId> + Display + Send + Sync;

    /// Whether it has a validity, which a 304 tells too: then it has to be read for that.
    const HAS_VALIDITY: bool = false;

    /// The document as it is now, if there is one.
    fn find(pool: &Pool, id: &Self::Id) -> impl Future<Output = Result<Option<Self>, database::Error>> + Send;
}

/// The route of a document.
pub(crate) fn get<D: Readable>() -> MethodRouter<Arc<Shell>> {
    axum::routing::get(document::<D>)
}

async fn document<D: Readable>(
    State(shell): State<Arc<Shell>>,
    Id(id): Id<D::Id>,
    headers: HeaderMap,
) -> Result<Answer, Problem> {
    if !D::HAS_VALIDITY
        && let Some(unchanged) = shell.unchanged::<D>(&id, &headers).await
    {
        return Ok(unchanged);
    }
    Answer::document(&headers, D::find(&shell.pool, &id).await?.as_ref())
}
