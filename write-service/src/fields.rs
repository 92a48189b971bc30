//! Reading a command out of a JSON object: field by field, so that one answer names every field that is wrong.

use std::{cell::RefCell, fmt::Display, ops::RangeInclusive, str::FromStr};

use chrono::NaiveDate;
use serde_json::{Map, Value};

use crate::problem::{Invalid, Problem};

/// More are not listed: the answer stays short.
const MOST_ERRORS: usize = 100;

/// Reads the body by `read`, which looks at every field before it gives up.
pub(crate) fn read<T>(body: &Value, read: impl FnOnce(&mut Fields<'_>) -> Option<T>) -> Result<T, Problem> {
    let errors = RefCell::new(Vec::new());
    let value = Field { value: body, pointer: String::new(), errors: &errors }.object(read);
    let errors = errors.into_inner();
    match value {
        Some(value) if errors.is_empty() => Ok(value),
        _ => Err(Problem::invalid_fields(errors)),
    }
}

/// The fields of one object.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    known: Vec<&'static str>,
    at: &'a Field<'a>,
}

impl<'a> Fields<'a> {
    /// Reads a field that has to be there.
    pub(crate) fn required<T>(&mut self, name: &'static str, read: impl FnOnce(&Field<'_>) -> Option<T>) -> Option<T> {
        match self.field(name) {
            Some(field) => read(&field),
            None => self.refuse(name, "is missing"),
        }
    }

    /// Reads a field that may be left out: `Some(None)` then.
    pub(crate) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Field<'_>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.field(name) {
            Some(field) => read(&field).map(Some),
            None => Some(None),
        }
    }

    /// Notes what is wrong with a field in view of the others.
    pub(crate) fn refuse<T>(&self, name: &str, detail: impl Display) -> Option<T> {
        self.at.child(name, &Value::Null).refuse(detail)
    }

    fn field(&mut self, name: &'static str) -> Option<Field<'a>> {
        self.known.push(name);
        self.object.get(name).map(|value| self.at.child(name, value))
    }
}

/// One value and where it is.
pub(crate) struct Field<'a> {
    value: &'a Value,
    pointer: String,
    errors: &'a RefCell<Vec<Invalid>>,
}

impl<'a> Field<'a> {
    fn child<'b>(&'b self, name: impl Display, value: &'b Value) -> Field<'b> {
        let name = name.to_string().replace('~', "~0").replace('/', "~1");
        Field { value, pointer: format!("{}/{name}", self.pointer), errors: self.errors }
    }

    /// Notes what is wrong with it.
    pub(crate) fn refuse<T>(&self, detail: impl Display) -> Option<T> {
        let mut errors = self.errors.borrow_mut();
        if errors.len() < MOST_ERRORS {
            errors.push(Invalid { pointer: self.pointer.clone(), detail: detail.to_string() });
        }
        None
    }

    fn expected<T>(&self, expected: &str) -> Option<T> {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.refuse(format_args!("expected {expected}, found {found}"))
    }

    /// An object; fields that `read` does not ask for are refused.
    pub(crate) fn object<T>(&self, read: impl FnOnce(&mut Fields<'_>) -> Option<T>) -> Option<T> {
        let Value::Object(object) = self.value else { return self.expected("an object") };
        let mut fields = Fields { object, known: Vec::new(), at: self };
        let value = read(&mut fields);
        let Fields { known, .. } = fields;
        let unknown = object.keys().filter(|name| !known.contains(&name.as_str()));
        for name in unknown {
            self.child(name, &Value::Null).refuse::<()>("is not a field of this command");
        }
        value
    }

    /// A list of so many items.
    pub(crate) fn list<T>(
        &self,
        length: RangeInclusive<usize>,
        mut read: impl FnMut(&Field<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Value::Array(items) = self.value else { return self.expected("a list") };
        if !length.contains(&items.len()) {
            return self.refuse(format_args!(
                "expected {} to {} items, found {}",
                length.start(),
                length.end(),
                items.len()
            ));
        }
        // Every item is read, also after one that is refused.
        let read: Vec<_> = items.iter().enumerate().map(|(at, item)| read(&self.child(at, item))).collect();
        read.into_iter().collect()
    }

    /// Text of so many characters, none of them a control character, and not only blanks.
    pub(crate) fn text(&self, length: RangeInclusive<usize>) -> Option<String> {
        let Value::String(text) = self.value else { return self.expected("text") };
        let count = text.chars().count();
        if !length.contains(&count) {
            return self.refuse(format_args!(
                "expected {} to {} characters, found {count}",
                length.start(),
                length.end()
            ));
        }
        if text.chars().any(char::is_control) {
            return self.refuse("has a control character in it");
        }
        if !text.is_empty() && text.trim().is_empty() {
            return self.refuse("is blank");
        }
        Some(text.clone())
    }

    /// Text that a type reads: an id, a currency.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&self) -> Option<T> {
        let Value::String(text) = self.value else { return self.expected("text") };
        text.parse().map_err(|error: T::Err| self.refuse::<()>(error)).ok()
    }

    /// A whole number within bounds.
    pub(crate) fn integer(&self, bounds: RangeInclusive<i64>) -> Option<i64> {
        let Value::Number(number) = self.value else { return self.expected("a whole number") };
        number.as_i64().filter(|number| bounds.contains(number)).or_else(|| {
            self.refuse(format_args!("expected a whole number from {} to {}", bounds.start(), bounds.end()))
        })
    }

    /// A date, as `2026-02-28`.
    pub(crate) fn date(&self) -> Option<NaiveDate> {
        let Value::String(text) = self.value else { return self.expected("a date as text") };
        let shaped = text.len() == 10
            && text.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        let date = shaped.then(|| text.parse().ok()).flatten();
        date.or_else(|| self.refuse("expected a date that exists, as YYYY-MM-DD"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn errors(body: &Value, reader: impl FnOnce(&mut Fields<'_>) -> Option<()>) -> Vec<(String, String)> {
        let errors = RefCell::new(Vec::new());
        Field { value: body, pointer: String::new(), errors: &errors }.object(reader);
        errors.into_inner().into_iter().map(|error| (error.pointer, error.detail)).collect()
    }

    fn pointers(body: &Value, reader: impl FnOnce(&mut Fields<'_>) -> Option<()>) -> Vec<String> {
        errors(body, reader).into_iter().map(|(pointer, _)| pointer).collect()
    }

    #[test]
    fn one_reading_names_every_bad_field() {
        let body = json!({"name": 1, "rooms": ["1", "", 3], "in": {"a/b~c": 1}, "day": "2026-02-30", "more": 0});
        let found = pointers(&body, |fields| {
            fields.required("name", |field| field.text(1..=5));
            fields.required("rooms", |field| field.list(1..=5, |item| item.text(1..=2)));
            fields.required("in", |field| field.object(|_| Some(())));
            fields.required("day", |field| field.date());
            fields.required("gone", |field| field.date());
            fields.optional("also gone", |field| field.date());
            fields.refuse("day", "is a Sunday")
        });
        assert_eq!(found, ["/name", "/rooms/1", "/rooms/2", "/in/a~1b~0c", "/day", "/gone", "/day", "/more"]);
    }

    #[test]
    fn text_that_the_database_cannot_store_or_a_reader_see_is_refused() {
        for text in ["", " ", "\u{3000}", "a\0", "a\nb", "\u{7f}", "\u{85}", "123456"] {
            assert_eq!(
                pointers(&json!({"a": text}), |fields| fields.required("a", |a| a.text(1..=5)).map(drop)),
                ["/a"]
            );
        }
        for text in ["Zoë", "李小龍", "O'Hara"] {
            assert!(
                pointers(&json!({"a": text}), |fields| fields.required("a", |a| a.text(1..=6)).map(drop)).is_empty()
            );
        }
    }

    #[test]
    fn numbers_are_whole_and_within_bounds() {
        for number in [json!(0.5), json!(-1), json!(11), json!(1e300), json!(u64::MAX), json!("1"), json!(null)] {
            assert_eq!(
                pointers(&json!({"a": number}), |fields| fields.required("a", |a| a.integer(0..=10)).map(drop)),
                ["/a"]
            );
        }
    }

    #[test]
    fn dates_have_one_spelling() {
        for text in
            ["2026-1-5", "26-01-05", "2026-01-05T00:00:00Z", "+026-01-05", "2026-13-01", " 026-01-05", "٢026-01-0"]
        {
            assert_eq!(
                pointers(&json!({"a": text}), |fields| fields.required("a", |field| field.date()).map(drop)),
                ["/a"],
                "{text}"
            );
        }
    }

    #[test]
    fn the_list_of_errors_is_bounded() {
        let body = Value::Object((0..1000).map(|n| (n.to_string(), Value::Null)).collect());
        assert_eq!(errors(&body, |_| Some(())).len(), MOST_ERRORS);
    }
}
