//! How many guests come.

use contracts::direct_booking::Guests;

use super::Field;

/// The most guests of a kind.
const MOST_GUESTS: i64 = 99;

/// At least one, of whatever kind.
pub(crate) fn guests(field: &Field<'_>) -> Option<Guests> {
    let count = |field: &Field<'_>| field.integer(0..=MOST_GUESTS).and_then(|count| u16::try_from(count).ok());
    let guests = field.object(|fields| {
        let adults = fields.required("adults", count);
        let children = fields.optional("children", count);
        let babies = fields.optional("babies", count);
        Some(Guests { adults: adults?, children: children?.unwrap_or(0), babies: babies?.unwrap_or(0) })
    })?;
    let anyone = guests.adults + guests.children + guests.babies > 0;
    if anyone { Some(guests) } else { field.refuse("at least one guest has to come") }
}
