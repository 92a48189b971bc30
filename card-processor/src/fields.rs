//! What a caller says, field by field: read once, and right from then on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a value cannot be accepted: what is expected instead. Never holds the value, which may be a card's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(&'static str);

impl Invalid {
    /// This is expected instead.
    pub(crate) fn because(expected: &'static str) -> Self {
        Self(expected)
    }
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                $check(&text).map(|()| Self(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text! {
    /// An `Idempotency-Key`, the caller's name for one request: 1 to 255 visible ASCII characters.
    Key, visible
}
text! {
    /// What stands for a card: 1 to 255 visible ASCII characters that do not look like a card's number.
    CardToken, token
}
text! {
    /// A currency's code as in ISO 4217: three capital letters.
    Currency, currency
}
text! {
    /// What the caller calls the thing that is paid: 1 to 255 visible ASCII characters.
    Reference, visible
}

/// An amount of money in the currency's minor unit (cents): 1 to 999,999,999,999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64")]
pub struct AmountMinor(u64);

impl AmountMinor {
    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for AmountMinor {
    type Error = Invalid;

    fn try_from(number: u64) -> Result<Self, Invalid> {
        match number {
            1..=999_999_999_999 => Ok(Self(number)),
            _ => Err(Invalid::because("expected 1 to 999999999999, in the currency's minor unit")),
        }
    }
}

fn visible(text: &str) -> Result<(), Invalid> {
    let valid = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if valid { Ok(()) } else { Err(Invalid::because("expected 1 to 255 visible ASCII characters, without blanks")) }
}

fn token(text: &str) -> Result<(), Invalid> {
    if looks_like_a_card_number(text) {
        return Err(Invalid::because("looks like a card's number, which must never be sent here; send a token"));
    }
    visible(text)
}

fn currency(text: &str) -> Result<(), Invalid> {
    let valid = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    if valid { Ok(()) } else { Err(Invalid::because("expected three capital letters, such as EUR")) }
}

/// 12 to 19 digits, grouped by blanks or hyphens or not at all, whose last one is the check digit of the others (Luhn).
fn looks_like_a_card_number(text: &str) -> bool {
    let digits: Option<Vec<u32>> =
        text.chars().filter(|character| !matches!(character, ' ' | '-')).map(|digit| digit.to_digit(10)).collect();
    let Some(digits) = digits.filter(|digits| (12..=19).contains(&digits.len())) else { return false };
    let weighed = digits.iter().rev().enumerate().map(|(place, &digit)| match place % 2 {
        0 => digit,
        _ => digit * 2 / 10 + digit * 2 % 10,
    });
    weighed.sum::<u32>().is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_number_is_no_token() {
        for number in
            ["4242424242424242", "4242 4242 4242 4242", "3782-822463-10005", "6304000000000000", "000000000000"]
        {
            assert!(looks_like_a_card_number(number), "{number}");
            assert!(CardToken::try_from(number.to_owned()).is_err(), "{number}");
        }
        let long = "0".repeat(20);
        for token in ["tok_visa", "4242424242424241", "42424242424", "tok_4242424242424242", &long, "-"] {
            assert!(CardToken::try_from(token.to_owned()).is_ok(), "{token}");
        }
    }

    #[test]
    fn texts_are_bounded_and_visible() {
        let long = "x".repeat(256);
        for text in ["", " ", "a b", "ä", "a\n", "\u{7f}", &long] {
            assert!(Key::try_from(text.to_owned()).is_err(), "{text:?}");
            assert!(Reference::try_from(text.to_owned()).is_err(), "{text:?}");
            assert!(CardToken::try_from(text.to_owned()).is_err(), "{text:?}");
        }
        assert!(Key::try_from(long[1..].to_owned()).is_ok());
        for text in ["", "eur", "EURO", "EU", "É1"] {
            assert!(Currency::try_from(text.to_owned()).is_err(), "{text:?}");
        }
        assert!(AmountMinor::try_from(0).is_err() && AmountMinor::try_from(u64::MAX).is_err());
    }
}
