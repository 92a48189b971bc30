//! The routes of the channel manager.

mod outcome;
mod site_bookings;
mod sites;

use crate::routes::Routes;

pub(crate) fn routes() -> Routes {
    Routes::new().merge(sites::routes()).merge(site_bookings::routes())
}
