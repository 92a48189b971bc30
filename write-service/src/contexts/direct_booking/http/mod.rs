//! The routes of direct booking.

mod bookings;
mod room_types;

use crate::routes::Routes;

pub(crate) fn routes() -> Routes {
    Routes::new().merge(room_types::routes()).merge(bookings::routes())
}
