//! From a selection to SQL: one statement for a whole operation, and the shape in which its one row is written as the answer.
//!
//! An object of another view is a record, a list of objects an array of records, each by a subquery of its own; what belongs
//! to the same row are columns of the same record. So there is nothing to join, nothing to ask a second time, and each list is
//! as long as it says.

use std::collections::HashMap;

use async_graphql::{
    Variables,
    parser::types::{ExecutableDocument, OperationDefinition, OperationType, SelectionSet},
};

use super::{
    arguments::Arguments,
    error::{Code, Error},
    limits::MAX_COMPLEXITY,
    model::{self, Call, Connection, Field, Model, Object, Source, What},
    page::{Page, Place},
    parameters::Parameters,
    selection::{Scope, Selected},
    shape::{Edge, Fields, Info, PageShape, Part, Shape},
};
use crate::live::Watched;

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

/// Compiles an operation. Those of its fields that have `failed` already, by key, are left out of the statement.
///
/// # Errors
/// When the whole operation is refused.
pub(super) fn compile(asked: Asked<'_>, failed: &HashMap<String, Error>) -> Result<Compiled, Error> {
    let scope = Scope { document: asked.document, variables: asked.variables };
    let mut compiler =
        Compiler { asked, scope, parameters: Parameters::default(), aliases: 0, cost: 0, forbidden: None };
    let root_name = root_of(asked.operation);
    let root = asked.model.object(root_name).ok_or_else(|| Error::new(Code::Internal, "the model has no root"))?;
    let (mut roots, mut columns, mut summary) = (Vec::new(), Columns::default(), "SELECT nothing");
    for selected in scope.fields(&[&asked.operation.selection_set.node], &[root_name]) {
        let kind = match selected.field.name.node.as_str() {
            "__typename" => Root::Typename,
            "__schema" | "__type" => Root::Schema,
            name => {
                summary = if columns.0.is_empty() { summary_of(root, name) } else { "SELECT several views" };
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
    let text = (!columns.0.is_empty()).then(|| format!("SELECT {}", columns.0.join(", ")));
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
    let scope = Scope { document: asked.document, variables: asked.variables };
    let refuse = |message: &str| Error::new(Code::ValidationFailed, message);
    let fields = scope.fields(&[&asked.operation.selection_set.node], &[model::SUBSCRIPTION]);
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

/// The columns of a record, each once.
#[derive(Debug, Default)]
struct Columns(Vec<String>);

impl Columns {
    /// Where this one is.
    fn add(&mut self, sql: String) -> usize {
        self.0.iter().position(|known| *known == sql).unwrap_or_else(|| {
            self.0.push(sql);
            self.0.len() - 1
        })
    }

    fn record(&self) -> String {
        ["ROW(", &self.0.join(", "), ")"].concat()
    }
}

struct Compiler<'a> {
    asked: Asked<'a>,
    scope: Scope<'a>,
    parameters: Parameters,
    aliases: usize,
    cost: usize,
    forbidden: Option<(&'static str, &'static str)>,
}

impl<'a> Compiler<'a> {
    fn root(&mut self, root: &Object, selected: &Selected<'a>, columns: &mut Columns, failed: Option<&Error>) -> Root {
        let (parameters, count) = (self.parameters.len(), columns.0.len());
        let compiled = match failed {
            Some(error) => Err(error.clone()),
            None => self.field(root, selected, "", columns, 1),
        };
        match compiled {
            Ok(shape) => Root::Shape(shape),
            Err(error) => {
                self.parameters.truncate(parameters);
                columns.0.truncate(count);
                Root::Failed(error)
            }
        }
    }

    fn field(
        &mut self,
        object: &Object,
        selected: &Selected<'a>,
        row: &str,
        columns: &mut Columns,
        times: usize,
    ) -> Result<Shape, Error> {
        let name = selected.field.name.node.as_str();
        let Some(field) = object.field(name) else {
            return Err(Error::new(Code::ValidationFailed, format!("{} has no field {name}", object.name)));
        };
        if field.is_personal && !self.asked.may_see_personal {
            self.forbidden.get_or_insert((object.name, field.name));
        }
        let arguments = Arguments::read(self.asked.model, &field.arguments, selected.field, self.asked.variables)?;
        let weight = times.saturating_mul(field.weight.of(&arguments));
        self.cost = self.cost.saturating_add(weight);
        Ok(match &field.what {
            What::Leaf(leaf, sql) => Shape::Leaf(*leaf, columns.add(sql.replace("{}", row))),
            What::GlobalId => Shape::GlobalId(object.name, columns.add(format!("{row}id"))),
            What::Part(part, prefix) => {
                Shape::Part(self.fields(part, &selected.below, &format!("{row}{prefix}"), columns, times)?)
            }
            What::Row(of, source) => {
                let (record, fields, from) = self.subquery(of, selected, *source, row, &arguments, times)?;
                Shape::Row(columns.add(format!("(SELECT {record} FROM {from})")), fields)
            }
            What::Rows(of, source) => {
                let (record, fields, from) = self.subquery(of, selected, *source, row, &arguments, weight)?;
                Shape::Rows(columns.add(format!("ARRAY(SELECT {record} FROM {from})")), fields)
            }
            What::Each(of, make) => {
                let child = self.alias();
                let from = make(&Call { child: &child, parent: row, arguments: &arguments }, &mut self.parameters)?;
                let mut inner = Columns::default();
                let id = inner.add(format!("{child}.id"));
                let fields =
                    self.fields(self.object(of)?.name, &selected.below, &format!("{child}."), &mut inner, weight)?;
                Shape::Each(columns.add(format!("ARRAY(SELECT {} FROM {from})", inner.record())), id, fields)
            }
            What::ById(of) => self.by_id(of, arguments.text("id").unwrap_or_default(), selected, columns, times)?,
            What::Node => {
                let id = arguments.text("id").unwrap_or_default();
                match id
                    .split_once(':')
                    .and_then(|(ty, id)| Some((self.asked.model.nodes().find(|node| node.name == ty)?.name, id)))
                {
                    Some((ty, id)) => self.by_id(ty, id, selected, columns, times)?,
                    None => return Err(Error::input("id: there is no type of this name")),
                }
            }
            What::Connection(connection) => {
                self.connection(connection, field, selected, row, &arguments, columns, times)?
            }
        })
    }

    /// All fields of an object that is in the row.
    fn fields(
        &mut self,
        object: &str,
        below: &[&'a SelectionSet],
        row: &str,
        columns: &mut Columns,
        times: usize,
    ) -> Result<Fields, Error> {
        let object = self.object(object)?;
        let types = if object.table.is_some() { &[object.name, "Node"][..] } else { &[object.name][..] };
        let selection = self.scope.fields(below, types);
        let mut fields = Vec::with_capacity(selection.len());
        for selected in selection {
            let shape = match selected.field.name.node.as_str() {
                "__typename" => Shape::Typename(object.name),
                _ => self.field(object, &selected, row, columns, times)?,
            };
            fields.push((key(selected.key), shape));
        }
        Ok(fields)
    }

    fn object(&self, name: &str) -> Result<&'a Object, Error> {
        self.asked.model.object(name).ok_or_else(|| Error::new(Code::Internal, format!("the model has no {name}")))
    }

    /// A record of an object, how it is written, and where it comes from.
    fn subquery(
        &mut self,
        object: &str,
        selected: &Selected<'a>,
        source: Source,
        row: &str,
        arguments: &Arguments,
        times: usize,
    ) -> Result<(String, Fields, String), Error> {
        let child = self.alias();
        let from = match source {
            Source::Fixed(text) => text.replace("{child}", &child).replace("{parent}", row),
            Source::Made(make) => make(&Call { child: &child, parent: row, arguments }, &mut self.parameters)?,
        };
        let mut columns = Columns::default();
        let fields = self.fields(object, &selected.below, &format!("{child}."), &mut columns, times)?;
        Ok((columns.record(), fields, from))
    }

    fn by_id(
        &mut self,
        object: &str,
        id: &str,
        selected: &Selected<'a>,
        columns: &mut Columns,
        times: usize,
    ) -> Result<Shape, Error> {
        let table = self.object(object)?.table.unwrap_or_default();
        let child = self.alias();
        let id = self.parameters.add(super::parameters::Value::Text(id.to_owned()));
        let mut inner = Columns::default();
        let fields = self.fields(object, &selected.below, &format!("{child}."), &mut inner, times)?;
        let record = inner.record();
        let sql = format!("(SELECT {record} FROM {table} {child} WHERE {child}.id = {id} AND NOT {child}.erased)");
        Ok(Shape::Row(columns.add(sql), fields))
    }

    #[allow(clippy::too_many_arguments, reason = "all that there is to know of a field")]
    fn connection(
        &mut self,
        connection: &Connection,
        field: &Field,
        selected: &Selected<'a>,
        row: &str,
        arguments: &Arguments,
        columns: &mut Columns,
        times: usize,
    ) -> Result<Shape, Error> {
        if let Some(check) = connection.check {
            check(arguments)?;
        }
        let orders = &connection.orders.1;
        let named = arguments.text("orderBy").and_then(|text| text.rsplit_once('_'));
        let order = named.and_then(|(name, _)| orders.iter().find(|order| order.name == name)).or(orders.first());
        let order = order.ok_or_else(|| Error::new(Code::Internal, format!("{} has no order", field.name)))?;
        let is_descending = named.is_some_and(|(_, direction)| direction == "DESC");
        // A cursor is good for one list in one direction.
        let cursor_of = if is_descending { order.name.to_owned() + "_DESC" } else { order.name.to_owned() };
        let page = Page::of(arguments, &cursor_of, order.leaf)?;
        let times = times.saturating_mul(page.size);
        // The rows are read whatever is selected of them.
        self.cost = self.cost.saturating_add(times);

        let child = self.alias();
        let mut from = narrowed(connection.from, &connection.conditions, &child, row, arguments, &mut self.parameters);
        for (place, comes_after) in [(&page.after, true), (&page.before, false)] {
            if let Some(Place { value, id }) = place {
                let id = self.parameters.add(super::parameters::Value::Text(id.clone()));
                let than = if comes_after == is_descending { "<" } else { ">" };
                if order.column == "id" {
                    from.push_str(&format!(" AND {child}.id {than} {id}"));
                } else {
                    let value = self.parameters.add(value.clone());
                    from.push_str(&format!(" AND ({child}.{}, {child}.id) {than} ({value}, {id})", order.column));
                }
            }
        }
        let direction = if is_descending == page.from_end { "ASC" } else { "DESC" };
        let by = if order.column == "id" { String::new() } else { format!("{child}.{} {direction}, ", order.column) };

        let mut inner = Columns::default();
        let mut shape = PageShape { page, cursor: None, order: cursor_of, leaf: order.leaf, parts: Vec::new() };
        let place = (format!("{child}.{}", order.column), format!("{child}.id"));
        let ty = |suffix: &str| format!("{}{suffix}", connection.object);
        for selected in self.scope.fields(&selected.below, &[&ty("Connection")]) {
            self.cost = self.cost.saturating_add(1);
            let part = match selected.field.name.node.as_str() {
                "nodes" => Part::Nodes(self.fields(
                    connection.object,
                    &selected.below,
                    &format!("{child}."),
                    &mut inner,
                    times,
                )?),
                "edges" => {
                    let mut edges = Vec::new();
                    for selected in self.scope.fields(&selected.below, &[&ty("Edge")]) {
                        let edge = match selected.field.name.node.as_str() {
                            "node" => Edge::Node(self.fields(
                                connection.object,
                                &selected.below,
                                &format!("{child}."),
                                &mut inner,
                                times,
                            )?),
                            "cursor" => {
                                shape.cursor = Some((inner.add(place.0.clone()), inner.add(place.1.clone())));
                                Edge::Cursor
                            }
                            _ => Edge::Typename(ty("Edge")),
                        };
                        edges.push((key(selected.key), edge));
                    }
                    Part::Edges(edges)
                }
                "pageInfo" => {
                    let mut info = Vec::new();
                    for selected in self.scope.fields(&selected.below, &["PageInfo"]) {
                        let name = selected.field.name.node.as_str();
                        if name.ends_with("Cursor") {
                            shape.cursor = Some((inner.add(place.0.clone()), inner.add(place.1.clone())));
                        }
                        let part = match name {
                            "hasNextPage" => Info::HasNext,
                            "hasPreviousPage" => Info::HasPrevious,
                            "startCursor" => Info::Start,
                            "endCursor" => Info::End,
                            _ => Info::Typename,
                        };
                        info.push((key(selected.key), part));
                    }
                    Part::Info(info)
                }
                _ => Part::Typename(ty("Connection")),
            };
            shape.parts.push((key(selected.key), part));
        }
        let (record, limit) = (inner.record(), shape.page.limit());
        let sql = format!("ARRAY(SELECT {record} FROM {from} ORDER BY {by}{child}.id {direction} LIMIT {limit})");
        Ok(Shape::Page(columns.add(sql), Box::new(shape)))
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }
}

/// A key as JSON, with its colon.
fn key(name: &str) -> String {
    // A name has letters, digits and underscores.
    ["\"", name, "\":"].concat()
}

/// Which rows of a view fit the arguments, or the fields of the argument `filter`, that are given.
pub(super) fn narrowed(
    from: &str,
    conditions: &[(&str, &str)],
    child: &str,
    parent: &str,
    arguments: &Arguments,
    parameters: &mut Parameters,
) -> String {
    let mut text = from.replace("{child}", child).replace("{parent}", parent);
    let filter = arguments.object("filter");
    for (name, condition) in conditions {
        if let Some(value) = arguments.value(name).or_else(|| filter?.value(name)) {
            let value = parameters.add(value);
            text.push_str(" AND ");
            text.push_str(&condition.replace("{child}", child).replace("{value}", &value));
        }
    }
    text
}
