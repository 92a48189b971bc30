//! The routes of direct booking.

mod bookings;
mod room_types;

use axum::Router;

use crate::shell::Shell;

pub(crate) fn routes() -> Router<Shell> {
    Router::new().merge(room_types::routes()).merge(bookings::routes())
}
