//! What those who follow a view are told of a batch.

use deadpool_postgres::Client;

use super::cells::Row;
use crate::live::{self, Change, Kind};

/// Tells what these rows have changed; without any, that anything may have changed by which the handler is followed.
pub(super) async fn tell(
    client: &Client,
    handler: &str,
    followed_by: impl FnOnce() -> Vec<Kind>,
    applied: Option<&[Row]>,
) -> Result<(), tokio_postgres::Error> {
    match applied {
        Some(rows) => live::tell(client, handler, rows.iter().flat_map(|row| &row.changes)).await,
        None => {
            let anything: Vec<_> = followed_by().into_iter().map(Change::Any).collect();
            live::tell(client, handler, anything.iter()).await
        }
    }
}
