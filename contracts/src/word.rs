//! Values that are words, spelt in one way in documents, in databases and in queries.

/// The text is none of the words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown word {0:?}")]
pub struct UnknownWord(pub String);

/// Gives an enum its words, which must be those that its documents have.
macro_rules! words {
    ($name:ident: $($variant:ident $word:literal),+ $(,)?) => {
        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::word::UnknownWord;

            fn from_str(word: &str) -> Result<Self, $crate::word::UnknownWord> {
                let known = Self::ALL.iter().find(|known| known.as_str() == word);
                known.copied().ok_or_else(|| $crate::word::UnknownWord(word.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::word::UnknownWord;

            fn try_from(word: String) -> Result<Self, $crate::word::UnknownWord> {
                word.parse()
            }
        }
    };
}

pub(crate) use words;

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use crate::{accounts::AccountStatus, direct_booking::BookingStatus, payments::PaymentStatus};

    fn check<T: Copy + Serialize + PartialEq + std::fmt::Debug + TryFrom<String>>(
        all: &[T],
        word: fn(T) -> &'static str,
    ) {
        for value in all {
            assert_eq!(serde_json::to_value(value).unwrap(), word(*value));
            assert_eq!(T::try_from(word(*value).to_owned()).ok(), Some(*value));
        }
        assert!(T::try_from("UNHEARD_OF".to_owned()).is_err());
    }

    #[test]
    fn a_word_is_spelt_as_in_the_document() {
        check(AccountStatus::ALL, AccountStatus::as_str);
        check(BookingStatus::ALL, BookingStatus::as_str);
        check(PaymentStatus::ALL, PaymentStatus::as_str);
    }
}
