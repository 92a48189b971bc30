//! From a selection to SQL: one statement for a whole operation, and the shape in which its one row is written as the answer.
//!
//! An object of another view is a record, a list of objects an array of records, each by a subquery of its own; what belongs
//! to the same row are columns of the same record. So there is nothing to join, nothing to ask a second time, and each list is
//! as long as it says.
//!
//! ```text
//! fields       a field, and all that is selected of an object    -> columns of a record
//! connection   a page of a list: which rows, in which order      -> an array of records
//! ```

use std::collections::HashMap;

use async_graphql::{
    Variables,
    parser::types::{ExecutableDocument, OperationDefinition, OperationType},
};

use super::{
    arguments::Arguments,
    error::{Code, Error},
    limits::MAX_COMPLEXITY,
    model::{self, Model, Object},
    parameters::Parameters,
    selection::Scope,
    shape::Shape,
};
use crate::live::Watched;

mod connection;
mod fields;

pub(super) use connection::narrowed;
use fields::{Columns, Compiler};

/// An operation as SQL.
#[derive(Debug)]
pub(super) struct Compiled {
    /// What is answered, by its key, in the order of the selection.
    pub(super) roots: Vec<(String, Root)>,
    /// The statement; none when nothing needs one.
    pub(super) text: Option<String>,
    pub(super) parameters: Parameters,
    /// What a trace calls the statement.
    pub(super) summary: &'static str,
}

/// What becomes of a field of the root.
#[derive(Debug)]
pub(super) enum Root {
    /// `__typename`
    Typename,
    /// Something of the schema itself.
    Schema,
    /// It is in the statement's row.
    Shape(Shape),
    /// It cannot be answered.
    Failed(Error),
}

/// What is to be compiled.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) model: &'a Model,
    pub(super) document: &'a ExecutableDocument,
    pub(super) operation: &'a OperationDefinition,
    pub(super) variables: &'a Variables,
    /// Whether what it says of persons may be answered.
    pub(super) may_see_personal: bool,
}

impl<'a> Asked<'a> {
    /// In which its selections are read.
    pub(super) fn scope(&self) -> Scope<'a> {
        Scope { document: self.document, variables: self.variables }
    }
}

/// Compiles an operation. Those of its fields that have `failed` already, by key, are left out of the statement.
///
/// # Errors
/// When the whole operation is refused.
pub(super) fn compile(asked: Asked<'_>, failed: &HashMap<String, Error>) -> Result<Compiled, Error> {
    let mut compiler = Compiler::new(asked);
    let root_name = root_of(asked.operation);
    let root = asked.model.object(root_name).ok_or_else(|| Error::new(Code::Internal, "the model has no root"))?;
    let (mut roots, mut columns, mut summary) = (Vec::new(), Columns::default(), "SELECT nothing");
    for selected in asked.scope().fields(&[&asked.operation.selection_set.node], &[root_name]) {
        let kind = match selected.field.name.node.as_str() {
            "__typename" => Root::Typename,
            "__schema" | "__type" => Root::Schema,
            name => {
                summary = if columns.is_empty() { summary_of(root, name) } else { "SELECT several views" };
                compiler.root(root, &selected, &mut columns, failed.get(selected.key))
            }
        };
        roots.push((selected.key.to_owned(), kind));
    }
    if compiler.cost > MAX_COMPLEXITY {
        let message = format!("the query's complexity is {}, more than {MAX_COMPLEXITY}: ask for less", compiler.cost);
        return Err(Error::new(Code::ValidationFailed, message));
    }
    if let Some((object, field)) = compiler.forbidden {
        let message = format!(
            "{object}.{field} says something of a person: that needs a token with the scope {}",
            super::PERSONAL
        );
        return Err(Error::new(Code::Forbidden, message));
    }
    let text = (!columns.is_empty()).then(|| format!("SELECT {}", columns.listed()));
    Ok(Compiled { roots, text, parameters: compiler.parameters, summary })
}

/// The type of its root.
fn root_of(operation: &OperationDefinition) -> &'static str {
    match operation.ty {
        OperationType::Subscription => model::SUBSCRIPTION,
        OperationType::Query | OperationType::Mutation => model::ROOT,
    }
}

/// What a subscription follows.
///
/// # Errors
/// When it has not exactly one field, or an argument cannot be used.
pub(super) fn follows(asked: Asked<'_>) -> Result<Vec<Watched>, Error> {
    let refuse = |message: &str| Error::new(Code::ValidationFailed, message);
    let fields = asked.scope().fields(&[&asked.operation.selection_set.node], &[model::SUBSCRIPTION]);
    let [selected] = fields.as_slice() else { return Err(refuse("a subscription has exactly one field at its root")) };
    let root = asked.model.object(model::SUBSCRIPTION);
    let field = root.and_then(|root| root.field(&selected.field.name.node));
    let field = field.ok_or_else(|| refuse("the schema cannot be followed, only asked for"))?;
    let arguments = Arguments::read(asked.model, &field.arguments, selected.field, asked.variables)?;
    Ok((field.follows)(&arguments))
}

fn summary_of(root: &Object, name: &str) -> &'static str {
    root.field(name).map_or("SELECT nothing", |field| field.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;

    fn refusal(model: &Model, query: &str, may_see_personal: bool) -> Option<Code> {
        let (document, variables) = (parse_query(query).unwrap(), Variables::default());
        let (_, operation) = document.operations.iter().next().unwrap();
        let asked =
            Asked { model, document: &document, operation: &operation.node, variables: &variables, may_see_personal };
        compile(asked, &HashMap::new()).err().map(|error| error.code)
    }

    /// Wherever it is asked for, since every object that has such a field is a node.
    #[test]
    fn nothing_personal_is_told_without_its_scope() {
        let model = Model::new();
        let fields = || model.nodes().flat_map(|object| object.fields.iter().map(move |field| (object.name, field)));
        for (object, field) in fields().filter(|(_, field)| field.what.is_own()) {
            let below = match field.what {
                model::What::Part(part, _) => format!("{{ {} }}", model.object(part).unwrap().fields[0].name),
                _ => String::new(),
            };
            let query = format!("{{ node(id: \"{object}:7\") {{ ... on {object} {{ {} {below} }} }} }}", field.name);
            let expected = field.is_personal.then_some(Code::Forbidden);
            assert_eq!(refusal(&model, &query, false), expected, "{query}");
            assert_eq!(refusal(&model, &query, true), None, "{query}");
        }
        let elsewhere = model.objects.values().filter(|object| object.table.is_none());
        assert!(!elsewhere.flat_map(|object| &object.fields).any(|field| field.is_personal));
    }
}
