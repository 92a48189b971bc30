//! From when to when somebody stays.

use chrono::NaiveDate;

use super::Fields;
use crate::stay::Stay;

/// The stay between the fields `checkIn` and `checkOut`, which can be booked today.
pub(crate) fn stay(fields: &mut Fields<'_>, today: NaiveDate) -> Option<Stay> {
    let check_in = fields.required("checkIn", |field| field.date());
    let check_out = fields.required("checkOut", |field| field.date());
    let stay = Stay::new(check_in?, check_out?).or_else(|invalid| fields.refuse("checkOut", invalid).ok_or(())).ok()?;
    match stay.is_timely(today) {
        Ok(()) => Some(stay),
        Err(untimely) => fields.refuse("checkIn", untimely),
    }
}
