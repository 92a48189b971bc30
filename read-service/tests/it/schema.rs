//! The schema that is checked in is the one that is served, and it still has all that was released.

use std::collections::BTreeMap;

use async_graphql::{
    Positioned,
    parser::{
        parse_schema,
        types::{FieldDefinition, InputValueDefinition, ServiceDocument, Type, TypeKind, TypeSystemDefinition},
    },
};

const CURRENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
const RELEASED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.released.graphql");

#[test]
fn schema_graphql_is_current() {
    let served = read_service::graphql::sdl().unwrap();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(CURRENT, &served).unwrap();
    }
    let checked_in = std::fs::read_to_string(CURRENT).unwrap_or_default();
    assert!(
        checked_in == served,
        "schema.graphql is not current: UPDATE_SCHEMA=1 cargo test -p read-service schema, then look at the difference"
    );
}

/// A client that was written for the released schema can be answered by the one that is served. `RELEASE_SCHEMA=1` releases it.
#[test]
fn what_was_released_is_still_there() {
    let served = read_service::graphql::sdl().unwrap();
    if std::env::var_os("RELEASE_SCHEMA").is_some() {
        std::fs::write(RELEASED, &served).unwrap();
    }
    let broken = broken(&std::fs::read_to_string(RELEASED).unwrap_or_default(), &served);
    assert!(
        broken.is_empty(),
        "clients may depend on this: {broken:#?}\nadd beside it and deprecate it instead; if nobody asks for it any more, release \
         the schema as it is: RELEASE_SCHEMA=1 cargo test -p read-service schema"
    );
}

#[test]
fn what_breaks_clients_is_seen() {
    let before = "enum E { A B } input I { a: Int } interface N { id: ID! } \
        type T implements N { id: ID! name: String list(first: Int, of: I): [T!] } type Query { t(e: E!): T }";
    for (change, to, named) in [
        ("A B", "A", "E.B"),
        ("input I { a: Int }", "input I { a: Int b: Int! }", "I.b"),
        ("input I { a: Int }", "input I { b: Int }", "I.a"),
        ("name: String", "", "T.name"),
        ("name: String", "name: Int", "T.name"),
        ("list(first: Int, of: I)", "list(of: I)", "T.list(first)"),
        ("list(first: Int, of: I)", "list(first: Int!, of: I)", "T.list(first)"),
        ("list(first: Int, of: I)", "list(first: Int, of: I, by: E!)", "T.list(by)"),
        ("[T!]", "[T]", "T.list"),
        ("id: ID! name", "id: ID name", "T.id"),
        ("T implements N", "T", "T implements N"),
        ("enum E { A B }", "scalar E", "E"),
    ] {
        assert_eq!(broken(before, &before.replacen(change, to, 1)), [named], "{change} -> {to}");
    }
    for (change, to) in [
        ("A B", "A B C"),
        ("name: String", "name: String! more: Int"),
        ("t(e: E!)", "t(e: E, other: Int)"),
        ("[T!]", "[T!]!"),
        ("a: Int", "a: Int b: Int"),
    ] {
        assert_eq!(broken(before, &before.replacen(change, to, 1)), Vec::<String>::new(), "{change} -> {to}");
    }
}

/// What a client of the one schema would miss in the other.
fn broken(before: &str, after: &str) -> Vec<String> {
    let (before, after) = (parse_schema(before).unwrap(), parse_schema(after).unwrap());
    let after = types(&after);
    let mut broken = Vec::new();
    for (name, kind) in types(&before) {
        match (kind, after.get(name)) {
            (TypeKind::Scalar, Some(TypeKind::Scalar)) => {}
            (TypeKind::Object(old), Some(TypeKind::Object(new))) => {
                let is_gone = |interface: &&str| !new.implements.iter().any(|known| known.node == **interface);
                let interfaces = old.implements.iter().map(|interface| interface.node.as_str());
                broken.extend(interfaces.filter(is_gone).map(|interface| format!("{name} implements {interface}")));
                outputs(name, &nodes(&old.fields), &nodes(&new.fields), &mut broken);
            }
            (TypeKind::Interface(old), Some(TypeKind::Interface(new))) => {
                outputs(name, &nodes(&old.fields), &nodes(&new.fields), &mut broken);
            }
            (TypeKind::Enum(old), Some(TypeKind::Enum(new))) => {
                let is_gone = |value: &&str| !new.values.iter().any(|known| known.node.value.node == **value);
                let values = old.values.iter().map(|value| value.node.value.node.as_str());
                broken.extend(values.filter(is_gone).map(|value| format!("{name}.{value}")));
            }
            (TypeKind::InputObject(old), Some(TypeKind::InputObject(new))) => {
                inputs(|field| format!("{name}.{field}"), &nodes(&old.fields), &nodes(&new.fields), &mut broken);
            }
            _ => broken.push(name.to_owned()),
        }
    }
    broken
}

fn nodes<T: Clone>(list: &[Positioned<T>]) -> Vec<T> {
    list.iter().map(|item| item.node.clone()).collect()
}

fn types(document: &ServiceDocument) -> BTreeMap<&str, &TypeKind> {
    let types = document.definitions.iter().filter_map(|definition| match definition {
        TypeSystemDefinition::Type(ty) => Some((ty.node.name.node.as_str(), &ty.node.kind)),
        _ => None,
    });
    types.collect()
}

fn outputs(ty: &str, before: &[FieldDefinition], after: &[FieldDefinition], broken: &mut Vec<String>) {
    for old in before {
        let name = format!("{ty}.{}", old.name.node);
        match after.iter().find(|field| field.name.node == old.name.node) {
            Some(new) if is_at_least(&new.ty.node, &old.ty.node) => {
                inputs(
                    |argument| format!("{name}({argument})"),
                    &nodes(&old.arguments),
                    &nodes(&new.arguments),
                    broken,
                );
            }
            _ => broken.push(name),
        }
    }
}

/// What may be given: nothing that was taken is refused, and nothing more is demanded.
fn inputs(
    name: impl Fn(&str) -> String,
    before: &[InputValueDefinition],
    after: &[InputValueDefinition],
    broken: &mut Vec<String>,
) {
    for old in before {
        let new = after.iter().find(|input| input.name.node == old.name.node);
        if !new.is_some_and(|new| is_at_least(&old.ty.node, &new.ty.node)) {
            broken.push(name(&old.name.node));
        }
    }
    for new in after {
        let is_new = !before.iter().any(|input| input.name.node == new.name.node);
        if is_new && !new.ty.node.nullable && new.default_value.is_none() {
            broken.push(name(&new.name.node));
        }
    }
}

/// Whether every value of the one type is one of the other: the same, but perhaps never null.
fn is_at_least(one: &Type, other: &Type) -> bool {
    use async_graphql::parser::types::BaseType::{List, Named};
    (other.nullable || !one.nullable)
        && match (&one.base, &other.base) {
            (Named(one), Named(other)) => one == other,
            (List(one), List(other)) => is_at_least(one, other),
            _ => false,
        }
}
