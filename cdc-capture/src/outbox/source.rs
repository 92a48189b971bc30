//! Where the values of an event come from: a row, or a logical message.

use super::{Part, Reason};

/// The values of one event.
pub(super) trait Source<'a> {
    /// The value of a part; `None` is NULL.
    fn part(&self, part: Part) -> Option<&'a [u8]>;

    /// The name of a part's column, for a reason.
    fn name(&self, part: Part) -> &str;

    /// The value of a further header, by its number in the format.
    fn header(&self, number: usize) -> Result<Option<&'a [u8]>, Reason>;

    /// The value of a column that the topic's template names, by its number in the template.
    fn place(&self, number: usize) -> Result<Option<&'a [u8]>, Reason>;

    /// The text of a part.
    fn text(&self, part: Part) -> Result<Option<&'a str>, Reason> {
        self.part(part).map(|value| text(|| self.name(part), value)).transpose()
    }

    /// The text of a part that must have one.
    fn required_text(&self, part: Part) -> Result<&'a str, Reason> {
        required(|| self.name(part), self.part(part))
    }
}

/// The text of a value that must be there. Its name is only asked for when it is not.
pub(super) fn required<'a, 'n>(name: impl Fn() -> &'n str, value: Option<&'a [u8]>) -> Result<&'a str, Reason> {
    let value = value.filter(|value| !value.is_empty()).ok_or_else(|| Reason::Empty(name().to_owned()))?;
    text(name, value)
}

fn text<'a, 'n>(name: impl Fn() -> &'n str, value: &'a [u8]) -> Result<&'a str, Reason> {
    std::str::from_utf8(value).map_err(|error| Reason::Value(name().to_owned(), error.to_string()))
}
