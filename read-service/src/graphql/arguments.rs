//! Arguments: from what a document and its variables say to values of the kinds that the model names.
//!
//! Literals have been checked against the schema with their document; variables come with each request. All are read here, by
//! the specification's rules for input coercion. What is null counts as not given.

use std::collections::HashMap;

use async_graphql::{
    Value, Variables,
    parser::types::{BaseType, Field, OperationDefinition, Type},
};
use chrono::NaiveDate;
use contracts::id::BookingId;

use super::{
    error::{Code, Error},
    model::{Argument, Input, Model},
    parameters,
};

/// What was given, by name.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Arguments(HashMap<&'static str, Given>);

#[derive(Debug, PartialEq)]
enum Given {
    Text(String),
    Int(i32),
    Day(NaiveDate),
    Texts(Vec<String>),
    Object(Arguments),
}

impl Arguments {
    /// A text, an id, or an enum's value.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            Given::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn int(&self, name: &str) -> Option<i32> {
        match self.0.get(name)? {
            Given::Int(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn day(&self, name: &str) -> Option<NaiveDate> {
        match self.0.get(name)? {
            Given::Day(day) => Some(*day),
            _ => None,
        }
    }

    pub(crate) fn texts(&self, name: &str) -> &[String] {
        match self.0.get(name) {
            Some(Given::Texts(texts)) => texts,
            _ => &[],
        }
    }

    pub(crate) fn object(&self, name: &str) -> Option<&Self> {
        match self.0.get(name)? {
            Given::Object(fields) => Some(fields),
            _ => None,
        }
    }

    /// As a statement's parameter.
    pub(super) fn value(&self, name: &str) -> Option<parameters::Value> {
        match self.0.get(name)? {
            Given::Text(text) => Some(parameters::Value::Text(text.clone())),
            Given::Day(day) => Some(parameters::Value::Date(*day)),
            _ => None,
        }
    }

    /// Reads what a field is given.
    ///
    /// # Errors
    /// When something cannot be used, with its name.
    pub(super) fn read(model: &Model, known: &[Argument], field: &Field, variables: &Variables) -> Result<Self, Error> {
        let mut given = HashMap::new();
        for argument in known {
            let value = field.get_argument(argument.name).map(|value| resolved(&value.node, variables));
            if let Some(value) = read(model, argument, value.unwrap_or_default(), "")? {
                given.insert(argument.name, value);
            }
        }
        Ok(Self(given))
    }
}

/// A value with its variables put in.
pub(super) fn resolved<V: Clone + Into<async_graphql_value::Value>>(value: &V, variables: &Variables) -> Value {
    let value: async_graphql_value::Value = value.clone().into();
    let known = |name| Ok::<_, std::convert::Infallible>(variables.get(&name).cloned().unwrap_or_default());
    match value.into_const_with(known) {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// The values of an operation's variables: what was sent, else the default.
///
/// # Errors
/// When one that must be given is not, or one is of another type than it says; whether it is used or not.
pub(super) fn variables(operation: &OperationDefinition, sent: &Variables) -> Result<Variables, Error> {
    let mut values = Variables::default();
    for definition in &operation.variable_definitions {
        let (name, ty) = (&definition.node.name.node, &definition.node.var_type.node);
        let default = definition.node.default_value.as_ref().map(|value| &value.node);
        match sent.get(name).or(default) {
            None | Some(Value::Null) if !ty.nullable => {
                return Err(Error::new(Code::BadUserInput, format!("variable ${name}: of type {ty}, has to be given")));
            }
            None => {}
            Some(value) if !is_of(value, ty) => {
                return Err(Error::new(Code::BadUserInput, format!("variable ${name}: not of type {ty}")));
            }
            Some(value) => {
                values.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(values)
}

/// Whether a value is of a type, by the specification's rules for what a client sends; one value may stand for a list of one. Of
/// the types that only this schema has, it is seen where the value is used.
fn is_of(value: &Value, ty: &Type) -> bool {
    match (&ty.base, value) {
        (_, Value::Null) => ty.nullable,
        (BaseType::List(item), Value::List(values)) => values.iter().all(|value| is_of(value, item)),
        (BaseType::List(item), value) => is_of(value, item),
        (BaseType::Named(name), value) => match (name.as_str(), value) {
            ("Int", Value::Number(number)) => number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            ("ID", Value::Number(number)) => number.is_i64() || number.is_u64(),
            ("Float", Value::Number(_)) | ("String" | "ID", Value::String(_)) | ("Boolean", Value::Boolean(_)) => true,
            (name, _) => !["Int", "Float", "String", "Boolean", "ID"].contains(&name),
        },
    }
}

fn read(model: &Model, argument: &Argument, value: Value, above: &str) -> Result<Option<Given>, Error> {
    let refuse = |why: &str| Error::input(format!("{above}{}: {why}", argument.name));
    // As validation says of literals.
    let mistyped = |why: &str| Error { code: Code::ValidationFailed, ..refuse(why) };
    let given = match (argument.input, value) {
        (_, Value::Null) if argument.is_required => return Err(mistyped("has to be given")),
        (_, Value::Null) => return Ok(None),
        (Input::Id(object), value) => {
            let text = match value {
                Value::String(text) => text,
                Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
                _ => return Err(mistyped("expected an ID")),
            };
            Given::Text(id(object, text).map_err(|why| refuse(&why))?)
        }
        (Input::Text, Value::String(text)) if text.contains('\0') => return Err(refuse("holds the character U+0000")),
        (Input::Text, Value::String(text)) => Given::Text(text),
        (Input::Int, Value::Number(number)) => {
            let number = number.as_i64().and_then(|number| i32::try_from(number).ok());
            Given::Int(number.ok_or_else(|| mistyped("expected an Int"))?)
        }
        (Input::Date, Value::String(text)) => {
            Given::Day(day(&text).ok_or_else(|| mistyped("not a day of the calendar, written as 2026-11-21"))?)
        }
        (Input::Enum(name), value) => {
            let text = match value {
                Value::Enum(value) => value.to_string(),
                Value::String(text) => text,
                _ => return Err(mistyped("expected one of the enum's values")),
            };
            if !model.has_value(name, &text) {
                return Err(mistyped(&format!("not a value of {name}")));
            }
            Given::Text(text)
        }
        (Input::Texts, Value::String(text)) => Given::Texts(vec![text]),
        (Input::Texts, Value::List(items)) => {
            let text = |item| match item {
                Value::String(text) => Ok(text),
                _ => Err(mistyped("expected a list of String")),
            };
            Given::Texts(items.into_iter().map(text).collect::<Result<_, _>>()?)
        }
        (Input::Object(name), Value::Object(mut fields)) => {
            let known = model.input(name).map(|input| input.fields.as_slice()).unwrap_or_default();
            let above = format!("{above}{}.", argument.name);
            let mut given = HashMap::new();
            for field in known {
                if let Some(value) = read(model, field, fields.swap_remove(field.name).unwrap_or_default(), &above)? {
                    given.insert(field.name, value);
                }
            }
            if let Some((unknown, _)) = fields.first() {
                return Err(mistyped(&format!("{name} has no field {unknown}")));
            }
            Given::Object(Arguments(given))
        }
        _ => return Err(mistyped("of another type than the schema says")),
    };
    Ok(Some(given))
}

/// An id of an object, given by itself or as a global id; for no object, any global id.
fn id(object: &str, text: String) -> Result<String, String> {
    let is_id = |text: &str| text.parse::<BookingId>().map_err(|error| error.to_string());
    match text.split_once(':') {
        None if object.is_empty() => Err("not a global id, such as Booking:7".to_owned()),
        None => is_id(&text).map(|_| text),
        Some((ty, id)) if object.is_empty() => is_id(id).map(|_| format!("{ty}:{id}")),
        Some((ty, id)) if ty == object => is_id(id).map(|_| id.to_owned()),
        Some(_) => Err(format!("the global id of something else than {object}")),
    }
}

/// A day of the calendar as RFC 3339 writes it.
pub(super) fn day(text: &str) -> Option<NaiveDate> {
    // The date library alone would also take `2026-1-1` and `+2026-01-01`.
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (day.format("%Y-%m-%d").to_string() == text && !text.starts_with("0000")).then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_only_as_it_is_written() {
        for text in ["2026-11-21", "2024-02-29", "0001-01-01", "9999-12-31"] {
            assert_eq!(day(text).map(|date| date.to_string()).as_deref(), Some(text));
        }
        for text in
            ["", "2026-1-1", "+2026-01-01", "2025-02-29", "0000-01-01", "10000-01-01", "tomorrow", "2026-11-21 "]
        {
            assert_eq!(day(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_variable_is_of_the_type_that_it_says() {
        let is_of = |json: &str, ty: &str| {
            is_of(&Value::from_json(serde_json::from_str(json).unwrap()).unwrap(), &Type::new(ty).unwrap())
        };
        for (json, ty) in [
            ("true", "Boolean!"),
            ("null", "Boolean"),
            ("-2147483648", "Int"),
            ("1", "Float"),
            ("1.5", "Float"),
            ("\"7\"", "ID!"),
            ("7", "ID!"),
            ("[\"a\", \"b\"]", "[String!]!"),
            ("\"a\"", "[String!]!"),
            ("[[1], null, 2]", "[[Int!]]"),
            ("{}", "BookingFilter"),
        ] {
            assert!(is_of(json, ty), "{json} is a {ty}");
        }
        for (json, ty) in [
            ("\"true\"", "Boolean"),
            ("1", "Boolean"),
            ("null", "Boolean!"),
            ("2147483648", "Int"),
            ("1.0", "Int"),
            ("\"1\"", "Float"),
            ("1", "String"),
            ("1.5", "ID"),
            ("[1]", "Int"),
            ("[\"a\", null]", "[String!]"),
            ("[1]", "[String]"),
            ("{}", "String"),
        ] {
            assert!(!is_of(json, ty), "{json} is no {ty}");
        }
    }

    #[test]
    fn an_id_may_be_global() {
        let read = |object, text: &str| id(object, text.to_owned()).ok();
        assert_eq!(read("Booking", "7").as_deref(), Some("7"));
        assert_eq!(read("Booking", "Booking:7").as_deref(), Some("7"));
        assert_eq!(read("", "Booking:7").as_deref(), Some("Booking:7"));
        for (object, text) in
            [("Booking", "Account:7"), ("", "7"), ("Booking", "a b"), ("Booking", "Booking:"), ("", ":7:8")]
        {
            assert_eq!(read(object, text), None, "{object} {text}");
        }
    }
}
