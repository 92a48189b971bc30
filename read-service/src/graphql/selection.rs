//! What a selection selects, by the specification's CollectFields: fragments in their places, fields of one key merged, in the
//! order in which they come.

use async_graphql::{
    Variables,
    parser::types::{ExecutableDocument, Field, Selection, SelectionSet},
};

use super::conditions::is_left_out;

/// A field under its key in the answer, with all that is selected below it.
pub(super) struct Selected<'a> {
    pub(super) key: &'a str,
    pub(super) field: &'a Field,
    pub(super) below: Vec<&'a SelectionSet>,
}

/// The document in which fragments are found, and the values by which parts of it are left out.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) document: &'a ExecutableDocument,
    pub(super) variables: &'a Variables,
}

impl<'a> Scope<'a> {
    /// The fields of an object that is of these types: its own, and its interfaces. The document has been validated: there are
    /// no cycles.
    pub(super) fn fields(self, sets: &[&'a SelectionSet], types: &[&str]) -> Vec<Selected<'a>> {
        let mut fields = Vec::new();
        for set in sets {
            self.collect(set, types, &mut fields);
        }
        fields
    }

    fn collect(self, set: &'a SelectionSet, types: &[&str], fields: &mut Vec<Selected<'a>>) {
        for selection in &set.items {
            let left_out = match &selection.node {
                Selection::Field(field) => is_left_out(&field.node.directives, self.variables),
                Selection::FragmentSpread(spread) => is_left_out(&spread.node.directives, self.variables),
                Selection::InlineFragment(fragment) => is_left_out(&fragment.node.directives, self.variables),
            };
            if left_out {
                continue;
            }
            match &selection.node {
                Selection::Field(field) => {
                    let key = field.node.response_key().node.as_str();
                    let below = Some(&field.node.selection_set.node).filter(|below| !below.items.is_empty());
                    match fields.iter_mut().find(|selected| selected.key == key) {
                        Some(selected) => selected.below.extend(below),
                        None => fields.push(Selected { key, field: &field.node, below: below.into_iter().collect() }),
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref().map(|on| on.node.on.node.as_str());
                    if condition.is_none_or(|on| types.contains(&on)) {
                        self.collect(&fragment.node.selection_set.node, types, fields);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.node.fragment_name.node)
                        && types.contains(&fragment.node.type_condition.node.on.node.as_str())
                    {
                        self.collect(&fragment.node.selection_set.node, types, fields);
                    }
                }
            }
        }
    }
}
