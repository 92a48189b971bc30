//! The routes of direct booking.

pub(crate) mod bookings;
mod guests;
mod outcome;
mod rate_plans;
mod room_types;

use crate::routes::Routes;

pub(crate) fn routes() -> Routes {
    Routes::new()
        .merge(room_types::routes())
        .merge(rate_plans::routes())
        .merge(bookings::routes())
        .merge(guests::routes())
}
