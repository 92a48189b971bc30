//! The id in a path.

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use contracts::id::InvalidId;

use crate::problem::Problem;

/// The aggregate's id, the one parameter of the route. What cannot be an id names nothing: 404.
pub(crate) struct Id<T>(pub(crate) T);

impl<S: Send + Sync, T: TryFrom<String, Error = InvalidId>> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let not_an_id = |_| Problem::not_found("Nothing has this id, since it is not one.");
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| not_an_id(InvalidId))?;
        T::try_from(text).map(Self).map_err(not_an_id)
    }
}
