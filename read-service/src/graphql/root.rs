//! Giving an answer's root fields the shape that the specification wants: in the order of the selection, where the library
//! has the order in which they were ready; and null where a field failed, which the library leaves out.
//!
//! Every root field is nullable, so that one that fails takes no other with it. Fields below the root do not fail.

use async_graphql::{
    Name, PathSegment, Response, Value,
    parser::types::{ExecutableDocument, OperationDefinition, Selection, SelectionSet},
};

/// The keys under which an operation's root fields are answered, in the order of the selection. A fragment that contains
/// itself must have been refused before.
pub(super) fn root_keys(document: &ExecutableDocument, operation: &OperationDefinition) -> Vec<Name> {
    let mut keys = Vec::new();
    collect(document, &operation.selection_set.node, &mut keys);
    keys
}

fn collect(document: &ExecutableDocument, set: &SelectionSet, keys: &mut Vec<Name>) {
    for selection in &set.items {
        match &selection.node {
            Selection::Field(field) => keys.push(field.node.response_key().node.clone()),
            Selection::InlineFragment(fragment) => collect(document, &fragment.node.selection_set.node, keys),
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = document.fragments.get(&spread.node.fragment_name.node) {
                    collect(document, &fragment.node.selection_set.node, keys);
                }
            }
        }
    }
}

/// Restores what the library has lost of an answer that was executed.
pub(super) fn restore(response: &mut Response, keys: &[Name]) {
    let failed = response.errors.iter().filter_map(|error| match error.path.as_slice() {
        [PathSegment::Field(key)] => Some(Name::new(key)),
        _ => None,
    });
    for key in failed {
        if response.data == Value::Null {
            response.data = Value::Object(Default::default());
        }
        if let Value::Object(fields) = &mut response.data {
            fields.entry(key).or_insert(Value::Null);
        }
    }
    if let Value::Object(fields) = &mut response.data
        && fields.len() > 1
    {
        fields.sort_by_cached_key(|name, _| keys.iter().position(|key| key == name));
    }
}
