//! A card's token, and never its number.

use serde_json::json;

use super::Field;

/// What the third party that keeps the card calls it. A card's own number never enters.
pub(crate) fn card_token(field: &Field<'_>) -> Option<String> {
    let token = || json!({"description": "A card's token. Never its number.", "pattern": "^[A-Za-z0-9_-]{1,64}$"});
    let text = field.text_that_is(1..=200, token)?;
    let is_token = text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if !is_token {
        return field.refuse("expected a card's token: 1 to 64 letters, digits, _ and -");
    }
    if is_card_number(&text) {
        field.refuse("looks like a card's number, which must not be sent here")
    } else {
        Some(text)
    }
}

/// Whether it has as many digits as a card's number, and its check digit (ISO/IEC 7812-1, the Luhn algorithm).
fn is_card_number(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter(|c| !"-_".contains(*c)).map_while(|c| c.to_digit(10)).collect();
    let is_all_digits = digits.len() == text.chars().filter(|c| !"-_".contains(*c)).count();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match (at % 2, digit * 2) {
            (0, _) => *digit,
            (_, doubled) if doubled > 9 => doubled - 9,
            (_, doubled) => doubled,
        })
        .sum();
    is_all_digits && (12..=19).contains(&digits.len()) && sum.is_multiple_of(10)
}
