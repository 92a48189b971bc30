//! Reading a command out of a JSON object: field by field, so that one answer names every field that is wrong.
//!
//! The same code says what it reads: [`schema`] runs it without a body and notes what it asks for, so that what is
//! documented is what is read.

pub(crate) mod card_token;
pub(crate) mod email;
pub(crate) mod guests;
pub(crate) mod rate;
pub(crate) mod stay;

use std::{cell::RefCell, fmt::Display, ops::RangeInclusive, str::FromStr};

use chrono::{DateTime, Datelike, NaiveDate, SubsecRound, Utc};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::problem::{Invalid, Problem};

/// More are not listed: the answer stays short.
const MOST_ERRORS: usize = 100;

/// Text without control characters, as a pattern; and such text that is not only blanks.
const NO_CONTROLS: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";
const NOT_BLANK: &str = r"^(?=[\s\S]*\S)[^\u0000-\u001f\u007f-\u009f]*$";

/// Reads the body by `read`, which looks at every field before it gives up.
pub(crate) fn read<T>(body: &Value, read: impl FnOnce(&mut Fields<'_>) -> Option<T>) -> Result<T, Problem> {
    let errors = RefCell::new(Vec::new());
    let value = Field { value: body, pointer: String::new(), errors: &errors, schema: None }.object(read);
    let errors = errors.into_inner();
    match value {
        Some(value) if errors.is_empty() => Ok(value),
        _ => Err(Problem::invalid_fields(errors)),
    }
}

/// The JSON Schema of the bodies that `read` reads. It has to look at every field before it gives up, as it does anyway.
pub(crate) fn schema<T>(read: impl FnOnce(&mut Fields<'_>) -> Option<T>) -> Value {
    let (errors, schema) = (RefCell::default(), RefCell::default());
    Field { value: &Value::Null, pointer: String::new(), errors: &errors, schema: Some(&schema) }.object(read);
    schema.into_inner().into()
}

/// A JSON Schema that is being made.
type Schema = Map<String, Value>;

/// The fields of one object.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    known: Vec<&'static str>,
    at: &'a Field<'a>,
    /// What has been asked for, where only the schema is.
    asked: Option<Asked>,
}

/// What a reading asks of an object.
#[derive(Default)]
struct Asked {
    /// The fields' schemas.
    properties: Schema,
    /// Which of them have to be there.
    required: Vec<&'static str>,
    /// And what they are to each other.
    keywords: Schema,
}

impl<'a> Fields<'a> {
    /// Reads a field that has to be there.
    pub(crate) fn required<T>(&mut self, name: &'static str, read: impl FnOnce(&Field<'_>) -> Option<T>) -> Option<T> {
        if let Some(asked) = &mut self.asked {
            asked.required.push(name);
            return self.at.ask(name, &mut asked.properties, read);
        }
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
        if let Some(asked) = &mut self.asked {
            return self.at.ask(name, &mut asked.properties, read).map(Some);
        }
        match self.field(name) {
            Some(field) => read(&field).map(Some),
            None => Some(None),
        }
    }

    /// Exactly one of these optional fields has to be there.
    pub(crate) fn one_of(&mut self, names: &[&'static str]) -> Option<()> {
        match self.given("oneOf", names)[..] {
            [_] => Some(()),
            [] => self.refuse(names[0], format_args!("is missing: one of {} has to be there", names.join(", "))),
            [one, other, ..] => self.refuse(other, format_args!("is one too many beside {one}")),
        }
    }

    /// At least one of these optional fields has to be there.
    pub(crate) fn any_of(&mut self, names: &[&'static str]) -> Option<()> {
        match self.given("anyOf", names).is_empty() {
            false => Some(()),
            true => self.refuse(names[0], format_args!("is missing: {} has to be there", names.join(" or "))),
        }
    }

    /// Which of these there are; where only the schema is asked for, this keyword is noted instead.
    fn given(&mut self, keyword: &str, names: &[&'static str]) -> Vec<&'static str> {
        if let Some(asked) = &mut self.asked {
            let each: Vec<_> = names.iter().map(|name| json!({"required": [name]})).collect();
            // Two such demands of one kind do not meet in any command.
            asked.keywords.insert(keyword.to_owned(), each.into());
            return vec![names[0]];
        }
        names.iter().copied().filter(|name| self.object.contains_key(*name)).collect()
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
    /// Where its schema is noted, when there is no value and only that is asked for.
    schema: Option<&'a RefCell<Schema>>,
}

impl<'a> Field<'a> {
    /// Notes what `read` asks of the field of this name.
    fn ask<T>(&self, name: &str, properties: &mut Schema, read: impl FnOnce(&Field<'_>) -> Option<T>) -> Option<T> {
        let schema = RefCell::default();
        let value = read(&Field { schema: Some(&schema), ..self.child(name, &Value::Null) });
        properties.insert(name.to_owned(), schema.into_inner().into());
        value
    }

    /// Notes keywords of its schema. Whether only that is asked for: then there is nothing to read.
    fn is(&self, keywords: impl FnOnce() -> Value) -> bool {
        let Some(schema) = self.schema else { return false };
        if let Value::Object(keywords) = keywords() {
            schema.borrow_mut().extend(keywords);
        }
        true
    }

    fn child<'b>(&'b self, name: impl Display, value: &'b Value) -> Field<'b> {
        let name = name.to_string().replace('~', "~0").replace('/', "~1");
        Field { value, pointer: format!("{}/{name}", self.pointer), errors: self.errors, schema: None }
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
        if self.schema.is_some() {
            let object = Map::new();
            let mut fields = Fields { object: &object, known: Vec::new(), at: self, asked: Some(Asked::default()) };
            let value = read(&mut fields);
            let Asked { properties, required, keywords } = fields.asked.unwrap_or_default();
            self.is(|| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false}));
            self.is(|| keywords.into());
            return value;
        }
        let Value::Object(object) = self.value else { return self.expected("an object") };
        let mut fields = Fields { object, known: Vec::new(), at: self, asked: None };
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
        if self.schema.is_some() {
            let items = RefCell::default();
            read(&Field { schema: Some(&items), ..self.child(0, &Value::Null) });
            let items: Value = items.into_inner().into();
            self.is(|| json!({"type": "array", "minItems": length.start(), "maxItems": length.end(), "items": items}));
            return None;
        }
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
        // All that `char::is_control` says of, and at least one character that is no blank.
        let pattern = if *length.start() == 0 { NO_CONTROLS } else { NOT_BLANK };
        if self.is(
            || json!({"type": "string", "minLength": length.start(), "maxLength": length.end(), "pattern": pattern}),
        ) {
            return None;
        }
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

    /// Such text of which more has to hold, which these keywords say in its schema and the caller sees to.
    pub(crate) fn text_that_is(
        &self,
        length: RangeInclusive<usize>,
        keywords: impl FnOnce() -> Value,
    ) -> Option<String> {
        let text = self.text(length);
        self.is(keywords);
        text
    }

    /// Text that a type reads: an id, a currency.
    pub(crate) fn parsed<T: FromStr<Err: Display> + JsonSchema>(&self) -> Option<T> {
        if self.is(|| T::json_schema(&mut SchemaGenerator::default()).into()) {
            return None;
        }
        let Value::String(text) = self.value else { return self.expected("text") };
        text.parse().map_err(|error: T::Err| self.refuse::<()>(error)).ok()
    }

    /// Text or an object, whichever of them it is.
    pub(crate) fn text_or_object<T>(
        &self,
        text: impl FnOnce(&Field<'_>) -> Option<T>,
        object: impl FnOnce(&mut Fields<'_>) -> Option<T>,
    ) -> Option<T> {
        if self.schema.is_some() {
            let (one, other) = (RefCell::default(), RefCell::default());
            text(&Field { schema: Some(&one), ..self.child("", &Value::Null) });
            Field { schema: Some(&other), ..self.child("", &Value::Null) }.object(object);
            self.is(|| json!({"oneOf": [one.into_inner(), other.into_inner()]}));
            return None;
        }
        match self.value {
            Value::String(_) => text(self),
            Value::Object(_) => self.object(object),
            _ => self.expected("text or an object"),
        }
    }

    /// True or false.
    pub(crate) fn boolean(&self) -> Option<bool> {
        if self.is(|| json!({"type": "boolean"})) {
            return None;
        }
        self.value.as_bool().or_else(|| self.expected("true or false"))
    }

    /// A whole number within bounds.
    pub(crate) fn integer(&self, bounds: RangeInclusive<i64>) -> Option<i64> {
        if self.is(|| json!({"type": "integer", "minimum": bounds.start(), "maximum": bounds.end()})) {
            return None;
        }
        let Value::Number(number) = self.value else { return self.expected("a whole number") };
        number.as_i64().filter(|number| bounds.contains(number)).or_else(|| {
            self.refuse(format_args!("expected a whole number from {} to {}", bounds.start(), bounds.end()))
        })
    }

    /// A moment of RFC 3339, as `2026-02-28T12:00:00Z`, in the microseconds that PostgreSQL keeps.
    pub(crate) fn instant(&self) -> Option<DateTime<Utc>> {
        if self.is(|| json!({"type": "string", "format": "date-time"})) {
            return None;
        }
        let Value::String(text) = self.value else { return self.expected("a moment as text") };
        let years = 1970..=9999;
        let instant = DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.with_timezone(&Utc));
        instant
            .filter(|instant| years.contains(&instant.year()))
            .map(|instant| instant.trunc_subsecs(6))
            .or_else(|| self.refuse("expected a moment of RFC 3339 with its offset, as 2026-02-28T12:00:00Z"))
    }

    /// A date, as `2026-02-28`.
    pub(crate) fn date(&self) -> Option<NaiveDate> {
        if self.is(|| json!({"type": "string", "format": "date"})) {
            return None;
        }
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
        Field { value: body, pointer: String::new(), errors: &errors, schema: None }.object(reader);
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
    fn the_schema_is_what_the_reading_asks_for() {
        let read = |fields: &mut Fields<'_>| {
            let number = fields.required("number", |field| field.integer(1..=5));
            let items = fields.optional("items", |field| {
                field.list(0..=3, |item| item.object(|fields| fields.required("day", |field| field.date())))
            });
            Some((number?, items?))
        };
        let item = json!({"type": "object", "properties": {"day": {"type": "string", "format": "date"}}, "required": ["day"],
            "additionalProperties": false});
        let expected = json!({
            "type": "object",
            "properties": {
                "number": {"type": "integer", "minimum": 1, "maximum": 5},
                "items": {"type": "array", "minItems": 0, "maxItems": 3, "items": item},
            },
            "required": ["number"],
            "additionalProperties": false,
        });
        assert_eq!(schema(read), expected);
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
