//! An email address.

use serde_json::json;

use super::Field;

/// Whether mail arrives there only mail can tell. This keeps out what is no address at all.
pub(crate) fn email(field: &Field<'_>) -> Option<String> {
    let text =
        field.text_that_is(1..=254, || json!({"description": "An email address.", "pattern": r"^[^\s@]+@[^\s@]+$"}))?;
    let is_address = text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !text.contains(char::is_whitespace)
    });
    if is_address { Some(text) } else { field.refuse("expected an email address") }
}
