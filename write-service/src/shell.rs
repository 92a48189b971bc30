//! What surrounds the pure core of a context: its database, its clock, and word of what its reactors have applied.

use std::{fmt::Display, sync::Arc, time::Duration};

use axum::http::{HeaderMap, header::IF_NONE_MATCH};
use contracts::envelope::AggregateVersion;
use deadpool_postgres::Pool;
use inbox::Applied;

use crate::{
    answer::Answer,
    clock::Clock,
    conditional,
    context::{Context, Surroundings},
    idempotency::Answers,
    outbox::Document,
    versions::Versions,
};

/// The state that a context's routes share.
pub(crate) struct Shell {
    /// The context.
    pub(crate) context: &'static Context,
    /// Connections in the context's role.
    pub(crate) pool: Pool,
    /// What its commands have answered.
    pub(crate) answers: Arc<Answers>,
    /// Where the time of a command comes from.
    pub(crate) clock: Clock,
    /// Rings when one of the context's reactors has committed.
    pub(crate) applied: Applied,
    /// Which versions its aggregates have.
    pub(crate) versions: Versions,
    /// How long a command waits for that.
    pub(crate) read_after_timeout: Duration,
    /// What is around the context.
    pub(crate) surroundings: Arc<Surroundings>,
}

impl Shell {
    /// Whether the client has the document of this id as it is now; then that is the answer, and the document is not read.
    pub(crate) async fn unchanged<D: Document>(&self, id: &impl Display, headers: &HeaderMap) -> Option<Answer> {
        if !headers.contains_key(IF_NONE_MATCH) {
            return None;
        }
        let version = AggregateVersion::try_from(self.versions.find(D::TOPIC.name, id.to_string()).await?).ok()?;
        let etag = conditional::etag(D::REVISION, version);
        conditional::is_known(headers, &etag).then(|| Answer::unchanged(&etag))
    }
}
