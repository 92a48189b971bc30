//! What a query may cost before anything is spent on it.
//!
//! The text is bounded before it is parsed, since the parser is recursive; the document before it is validated, since
//! validation follows each fragment as often as it is spread. What a document costs to answer is bounded after that, by
//! the schema's own limits on depth and complexity.

use std::collections::HashMap;

use async_graphql::{
    Name,
    parser::types::{ExecutableDocument, Selection, SelectionSet},
};

/// The longest text of a query, in bytes.
const MAX_TEXT: usize = 64 * 1024;
/// How deep brackets of any kind may be nested.
const MAX_NESTING: usize = 50;
/// How many selections a document may have once its fragments are put in their places.
const MAX_SELECTIONS: usize = 2_000;
/// How often an operation may ask about the schema.
const MAX_INTROSPECTIONS: usize = 3;
/// How many lists within lists introspection may ask for. The standard query has two; each one more multiplies the answer.
const MAX_NESTED_LISTS: usize = 3;
/// How many lists it may ask for in all. The standard query has 9; each may be the whole schema once more.
const MAX_INTROSPECTED_LISTS: usize = 27;

/// Nested selections under these multiply the answer of an introspection.
const INTROSPECTED_LISTS: [&str; 8] =
    ["types", "fields", "args", "inputFields", "enumValues", "interfaces", "possibleTypes", "directives"];

/// How deep a query may be; the standard introspection query has 13.
pub(super) const MAX_DEPTH: usize = 15;
/// How complex a query may be: a field counts 1, a row of a list 1, and what is selected of it as often as there are rows.
pub(super) const MAX_COMPLEXITY: usize = 6_000;
/// How many directives a field may have.
pub(super) const MAX_DIRECTIVES: usize = 8;

/// Checks a query's text.
pub(super) fn check_text(text: &str) -> Result<(), String> {
    if text.len() > MAX_TEXT {
        return Err(format!("the query has {} bytes, more than {MAX_TEXT}", text.len()));
    }
    if nesting(text) > MAX_NESTING {
        return Err(format!("the query is nested deeper than {MAX_NESTING}"));
    }
    Ok(())
}

/// How deep brackets are nested, those in strings and comments left out.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = match byte {
            b'"' if after.starts_with(b"\"\"") => block_string_end(&after[2..]),
            b'"' => string_end(after),
            b'#' => after.iter().position(|byte| b"\r\n".contains(byte)).map_or(&[][..], |end| &after[end..]),
            b'{' | b'[' | b'(' => {
                depth += 1;
                deepest = deepest.max(depth);
                after
            }
            b'}' | b']' | b')' => {
                depth = depth.saturating_sub(1);
                after
            }
            _ => after,
        };
    }
    deepest
}

/// What follows a string that has been opened. A line break ends one that is not closed, as it does for the parser.
fn string_end(mut rest: &[u8]) -> &[u8] {
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            b'"' | b'\r' | b'\n' => return after,
            b'\\' => rest = after.get(1..).unwrap_or_default(),
            _ => rest = after,
        }
    }
    rest
}

fn block_string_end(mut rest: &[u8]) -> &[u8] {
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(b"\"\"\"") {
            return after;
        }
        rest = rest.strip_prefix(b"\\\"\"\"").unwrap_or(&rest[1..]);
    }
    rest
}

/// Checks a parsed document.
pub(super) fn check_document(document: &ExecutableDocument) -> Result<(), String> {
    let mut measure = Measure { document, fragments: HashMap::new() };
    let mut selections = 0_usize;
    for (_, operation) in document.operations.iter() {
        let size = measure.set(&operation.node.selection_set.node)?;
        selections = selections.saturating_add(size.selections);
        if size.introspections > MAX_INTROSPECTIONS {
            return Err(format!("the query asks about the schema more than {MAX_INTROSPECTIONS} times"));
        }
        if size.nested_lists > MAX_NESTED_LISTS {
            return Err(format!("introspection asks for more than {MAX_NESTED_LISTS} lists within each other"));
        }
        if size.introspected_lists > MAX_INTROSPECTED_LISTS {
            return Err(format!("introspection asks for more than {MAX_INTROSPECTED_LISTS} lists"));
        }
    }
    if selections > MAX_SELECTIONS {
        return Err(format!("the query selects more than {MAX_SELECTIONS} fields"));
    }
    Ok(())
}

#[derive(Clone, Copy, Default)]
struct Size {
    selections: usize,
    /// Questions about the schema.
    introspections: usize,
    /// The lists in them.
    introspected_lists: usize,
    /// Those of them within each other, along the worst path.
    nested_lists: usize,
}

/// Measures each fragment once, however often it is spread.
struct Measure<'a> {
    document: &'a ExecutableDocument,
    /// `None` while it is being measured.
    fragments: HashMap<&'a Name, Option<Size>>,
}

impl<'a> Measure<'a> {
    fn set(&mut self, set: &'a SelectionSet) -> Result<Size, String> {
        let mut size = Size::default();
        for selection in &set.items {
            let inner = match &selection.node {
                Selection::Field(field) => {
                    let mut inner = self.set(&field.node.selection_set.node)?;
                    let name = field.node.name.node.as_str();
                    if INTROSPECTED_LISTS.contains(&name) {
                        inner.introspected_lists = inner.introspected_lists.saturating_add(1);
                        inner.nested_lists += 1;
                    }
                    if ["__schema", "__type"].contains(&name) {
                        inner.introspections = inner.introspections.saturating_add(1);
                    }
                    inner
                }
                Selection::InlineFragment(fragment) => self.set(&fragment.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node)?,
            };
            size.selections = size.selections.saturating_add(inner.selections).saturating_add(1);
            size.introspections = size.introspections.saturating_add(inner.introspections);
            size.introspected_lists = size.introspected_lists.saturating_add(inner.introspected_lists);
            size.nested_lists = size.nested_lists.max(inner.nested_lists);
        }
        Ok(size)
    }

    fn fragment(&mut self, name: &'a Name) -> Result<Size, String> {
        match self.fragments.get(name) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => return Err(format!("the fragment {name} contains itself")),
            None => {}
        }
        // Validation says better what is wrong with a fragment that is not there.
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(Size::default()) };
        self.fragments.insert(name, None);
        let size = self.set(&fragment.node.selection_set.node)?;
        self.fragments.insert(name, Some(size));
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;
    use proptest::prelude::*;

    fn check(text: &str) -> Result<(), String> {
        check_text(text)?;
        check_document(&parse_query(text).unwrap())
    }

    #[test]
    fn brackets_count_only_outside_strings_and_comments() {
        assert_eq!(nesting("{ a(b: [1]) { c } }"), 3);
        assert_eq!(nesting(r#"{ a(b: "{[(\"{[(") }"#), 2);
        assert_eq!(nesting("{ a(b: \"\"\"{[( \\\"\"\" {[( \"\"\") }"), 2);
        assert_eq!(nesting("# {{{\n{ a # {{{\r }"), 1);
        assert_eq!(nesting("{ a(b: \"unclosed {{{\n) { b } }"), 2);
    }

    #[test]
    fn a_bomb_of_fragments_is_measured_without_setting_it_off() {
        let mut text = "{ ...f0 } ".to_owned();
        for level in 0..60 {
            text.push_str(&format!("fragment f{level} on Query {{ ...f{0} ...f{0} }} ", level + 1));
        }
        text.push_str("fragment f60 on Query { __typename }");
        assert!(check(&text).unwrap_err().contains("2000 fields"));
    }

    #[test]
    fn a_fragment_that_contains_itself_is_refused() {
        let text = "{ ...a } fragment a on Query { ...b } fragment b on Query { account(id: 1) { ...a } }";
        assert!(check(text).unwrap_err().contains("contains itself"));
    }

    #[test]
    fn introspection_is_bounded_and_the_standard_query_is_not_refused() {
        check(include_str!("../../tests/it/introspection.graphql")).unwrap();
        let bomb = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }";
        assert!(check(bomb).unwrap_err().contains("within each other"));
        let many = |count: usize, of: &str| (0..count).map(|n| format!("a{n}: {of} ")).collect::<String>();
        let lists = "types { fields { args { name } } }";
        for (bomb, reason) in [
            (format!("{{ {} }}", many(400, &format!("__schema {{ {lists} }}"))), "more than 3 times"),
            (format!("{{ {} }}", many(4, "__type(name: \"Booking\") { name }")), "more than 3 times"),
            (format!("{{ __schema {{ {} }} }}", many(400, lists)), "27 lists"),
            ("{ ...F a: __typename ...F } fragment F on Query { __schema { types { name } } __type(name: \"A\") { name } }".to_owned(), "more than 3 times"),
        ] {
            let refusal = check(&bomb).unwrap_err();
            assert!(refusal.contains(reason), "{refusal}");
        }
        check(&format!("{{ {} }}", many(3, "__type(name: \"Booking\") { fields { name args { name } } }"))).unwrap();
    }

    proptest! {
        #[test]
        fn no_text_makes_the_scan_panic(text in r#"[{}\[\]()"\\#\n a]{0,60}"#) {
            nesting(&text);
        }
    }
}
