//! What `@skip` and `@include` leave out.

use std::collections::HashSet;

use async_graphql::{
    Name, Positioned, Value, Variables,
    parser::types::{BaseType, Directive, ExecutableDocument, OperationDefinition, Selection, SelectionSet},
};
use async_graphql_value::Value as Given;

use super::arguments::resolved;

/// Whether they leave something out.
pub(super) fn is_left_out(directives: &[Positioned<Directive>], variables: &Variables) -> bool {
    directives.iter().any(|directive| {
        let is = |wanted| {
            let condition = directive.node.get_argument("if").map(|value| resolved(&value.node, variables));
            condition == Some(Value::Boolean(wanted))
        };
        match directive.node.name.node.as_str() {
            "skip" => is(true),
            "include" => is(false),
            _ => false,
        }
    })
}

/// Checks that each condition is a Boolean, or a variable of that type: the library's validation does not look there.
pub(super) fn check(document: &ExecutableDocument) -> Result<(), String> {
    for (_, operation) in document.operations.iter() {
        let is_wrong = |condition: &Given| !is_boolean(condition, &operation.node);
        let mut conditions = Conditions { document, is_wrong, fragments: HashSet::new() };
        conditions.set(&operation.node.selection_set.node)?;
    }
    Ok(())
}

/// Checks that no condition is a variable that is null: one with a default may be sent as null, and the default does not stand in.
pub(super) fn check_values(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
) -> Result<(), String> {
    if variables.values().all(|value| *value != Value::Null) {
        return Ok(());
    }
    let is_wrong = |condition: &Given| match condition {
        Given::Variable(name) => variables.get(name) == Some(&Value::Null),
        _ => false,
    };
    Conditions { document, is_wrong, fragments: HashSet::new() }.set(&operation.selection_set.node)
}

fn is_boolean(condition: &Given, operation: &OperationDefinition) -> bool {
    match condition {
        Given::Boolean(_) => true,
        Given::Variable(name) => {
            let mut definitions = operation.variable_definitions.iter();
            let definition = definitions.find(|definition| definition.node.name.node == *name);
            definition.is_some_and(|definition| {
                matches!(&definition.node.var_type.node.base, BaseType::Named(ty) if ty.as_str() == "Boolean")
            })
        }
        _ => false,
    }
}

/// Looks at each condition of an operation.
struct Conditions<'a, F> {
    document: &'a ExecutableDocument,
    is_wrong: F,
    /// Those that were looked at already.
    fragments: HashSet<&'a Name>,
}

impl<'a, F: Fn(&Given) -> bool> Conditions<'a, F> {
    fn set(&mut self, set: &'a SelectionSet) -> Result<(), String> {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    self.directives(&field.node.directives)?;
                    self.set(&field.node.selection_set.node)?;
                }
                Selection::InlineFragment(fragment) => {
                    self.directives(&fragment.node.directives)?;
                    self.set(&fragment.node.selection_set.node)?;
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&spread.node.directives)?;
                    let name = &spread.node.fragment_name.node;
                    if self.fragments.insert(name)
                        && let Some(fragment) = self.document.fragments.get(name)
                    {
                        self.set(&fragment.node.selection_set.node)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn directives(&self, directives: &[Positioned<Directive>]) -> Result<(), String> {
        for directive in directives {
            let name = directive.node.name.node.as_str();
            if ["skip", "include"].contains(&name)
                && let Some(condition) = directive.node.get_argument("if")
                && (self.is_wrong)(&condition.node)
            {
                return Err(format!("@{name}(if: {}): not a Boolean", condition.node));
            }
        }
        Ok(())
    }
}
