//! Names that no other test, and no other run of the same test, has.

/// A prefix for the topics and consumer groups of one test: short, of `[a-z0-9.-]`, ending with a dot.
pub fn unique_prefix(purpose: &str) -> String {
    format!("{}.", unique(purpose, '-'))
}

/// `purpose`, made safe and short, then random letters and digits.
pub(crate) fn unique(purpose: &str, separator: char) -> String {
    const LONGEST: usize = 24;
    let mut name = String::new();
    for letter in purpose.chars().map(|letter| letter.to_ascii_lowercase()) {
        if letter.is_ascii_alphanumeric() {
            name.push(letter);
        } else if !name.is_empty() && !name.ends_with(separator) {
            name.push(separator);
        }
    }
    name.truncate(LONGEST);
    let name = name.trim_end_matches(separator);
    format!("{name}{separator}{}", random_word(10))
}

/// Random letters and digits, lower case.
pub(crate) fn random_word(length: usize) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    (0..length).map(|_| char::from(LETTERS[rand::random_range(0..LETTERS.len())])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_legal_beginning_of_a_topic_name() {
        let prefix = unique_prefix("Kill the READ service, mid-replay, and go on");
        assert!(prefix.starts_with("kill-the-read-service-mi-"), "{prefix}");
        assert!(prefix.ends_with('.'));
        assert!(prefix.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.'));
        assert_ne!(prefix, unique_prefix("Kill the READ service, mid-replay, and go on"));
    }
}
