//! The contexts of the hotel, one module each. They meet only through events: none of them uses another.

mod accounts;
mod channel_manager;
mod direct_booking;
mod housekeeping;
mod payments;

use crate::context::Context;

/// Every context. A new one is a module and a line here.
pub static ALL: [&Context; 5] = [
    &accounts::CONTEXT,
    &direct_booking::CONTEXT,
    &payments::CONTEXT,
    &housekeeping::CONTEXT,
    &channel_manager::CONTEXT,
];

/// The context of this name.
pub fn named(name: &str) -> Option<&'static Context> {
    ALL.into_iter().find(|context| context.name == name)
}
