//! The parameters of a URL, strictly: what is not UTF-8 is refused, not mended.

/// Why the parameters cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    /// A `%` without two hexadecimal digits after it.
    #[error("the URL has a % without two hexadecimal digits after it")]
    Percent,
    /// The bytes are not UTF-8.
    #[error("the URL's parameters are not UTF-8")]
    Utf8,
}

/// Names and values, decoded, in their order.
pub(super) fn read(query: &str) -> Result<Vec<(String, String)>, Error> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

fn decode(text: &str) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (digits, after) = rest.split_at_checked(2).ok_or(Error::Percent)?;
                rest = after;
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let (high, low) = digit(digits[0]).zip(digit(digits[1])).ok_or(Error::Percent)?;
                high << 4 | low
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| Error::Utf8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_values_are_decoded() {
        let read = read("query=%7B+a%20%7D&variables=%7B%7D&&flag&x=a=b").unwrap();
        let pairs: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("query", "{ a }"), ("variables", "{}"), ("flag", ""), ("x", "a=b")]);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for query in ["query=%", "query=%7", "query=%zz", "query=%+1"] {
            assert_eq!(read(query), Err(Error::Percent), "{query}");
        }
        assert_eq!(read("query=%ff"), Err(Error::Utf8));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = read(&text);
        }
    }
}
