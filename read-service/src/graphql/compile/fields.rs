//! Fields: what each becomes in the record of its row, and what an operation costs.

use async_graphql::parser::types::SelectionSet;

use super::{Asked, Root};
use crate::graphql::{
    arguments::Arguments,
    error::{Code, Error},
    model::{Call, Object, Source, What},
    parameters::{Parameters, Value},
    selection::{Scope, Selected},
    shape::{Fields, Shape},
};

/// The columns of a record, each once.
#[derive(Debug, Default)]
pub(super) struct Columns(Vec<String>);

impl Columns {
    /// Where this one is.
    pub(super) fn add(&mut self, sql: String) -> usize {
        self.0.iter().position(|known| *known == sql).unwrap_or_else(|| {
            self.0.push(sql);
            self.0.len() - 1
        })
    }

    pub(super) fn record(&self) -> String {
        ["ROW(", &self.listed(), ")"].concat()
    }

    pub(super) fn listed(&self) -> String {
        self.0.join(", ")
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Where in the answer something is.
#[derive(Clone, Copy)]
pub(super) struct At<'r> {
    /// What stands before the columns of its row.
    pub(super) row: &'r str,
    /// How many such rows there are, usually.
    pub(super) times: usize,
}

/// An operation on its way to SQL.
pub(super) struct Compiler<'a> {
    asked: Asked<'a>,
    pub(super) scope: Scope<'a>,
    pub(super) parameters: Parameters,
    aliases: usize,
    /// Its complexity so far.
    pub(super) cost: usize,
    /// What it may not ask for, if there is anything: the object and the field.
    pub(super) forbidden: Option<(&'static str, &'static str)>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(asked: Asked<'a>) -> Self {
        let scope = asked.scope();
        Self { asked, scope, parameters: Parameters::default(), aliases: 0, cost: 0, forbidden: None }
    }

    /// A field of the root, unless it has `failed` already.
    pub(super) fn root(
        &mut self,
        root: &Object,
        selected: &Selected<'a>,
        columns: &mut Columns,
        failed: Option<&Error>,
    ) -> Root {
        let (parameters, count) = (self.parameters.len(), columns.0.len());
        let compiled = match failed {
            Some(error) => Err(error.clone()),
            None => self.field(root, selected, At { row: "", times: 1 }, columns),
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
        at: At<'_>,
        columns: &mut Columns,
    ) -> Result<Shape, Error> {
        let name = selected.field.name.node.as_str();
        let Some(field) = object.field(name) else {
            return Err(Error::new(Code::ValidationFailed, format!("{} has no field {name}", object.name)));
        };
        if field.is_personal && !self.asked.may_see_personal {
            self.forbidden.get_or_insert((object.name, field.name));
        }
        let arguments = Arguments::read(self.asked.model, &field.arguments, selected.field, self.asked.variables)?;
        let weight = at.times.saturating_mul(field.weight.of(&arguments));
        self.cost = self.cost.saturating_add(weight);
        let row = at.row;
        Ok(match &field.what {
            What::Leaf(leaf, sql) => Shape::Leaf(*leaf, columns.add(sql.replace("{}", row))),
            What::GlobalId => Shape::GlobalId(object.name, columns.add([row, "id"].concat())),
            What::Part(part, prefix) => {
                let at = At { row: &[row, *prefix].concat(), ..at };
                Shape::Part(self.fields(self.object(part)?, &selected.below, at, columns)?)
            }
            What::Row(of, source) => {
                let (record, fields, from) = self.subquery(of, selected, *source, &arguments, at)?;
                Shape::Row(columns.add(format!("(SELECT {record} FROM {from})")), fields)
            }
            What::Rows(of, source) => {
                let at = At { times: weight, ..at };
                let (record, fields, from) = self.subquery(of, selected, *source, &arguments, at)?;
                Shape::Rows(columns.add(format!("ARRAY(SELECT {record} FROM {from})")), fields)
            }
            What::Each(of, make) => {
                let child = self.alias();
                let from = make(&Call { child: &child, parent: row, arguments: &arguments }, &mut self.parameters)?;
                let (mut inner, row) = (Columns::default(), [child.as_str(), "."].concat());
                let id = inner.add([row.as_str(), "id"].concat());
                let at = At { row: &row, times: weight };
                let fields = self.fields(self.object(of)?, &selected.below, at, &mut inner)?;
                Shape::Each(columns.add(format!("ARRAY(SELECT {} FROM {from})", inner.record())), id, fields)
            }
            What::ById(of) => {
                let id = arguments.text("id").unwrap_or_default();
                self.by_id(self.object(of)?, id, selected, at.times, columns)?
            }
            What::Node => {
                let model = self.asked.model;
                let id = arguments.text("id").and_then(|id| id.split_once(':'));
                let found = id.and_then(|(ty, id)| Some((model.nodes().find(|node| node.name == ty)?, id)));
                let (object, id) = found.ok_or_else(|| Error::input("id: there is no type of this name"))?;
                self.by_id(object, id, selected, at.times, columns)?
            }
            What::Connection(connection) => self.connection(connection, selected, &arguments, at, columns)?,
        })
    }

    /// All fields of an object that is in the row.
    pub(super) fn fields(
        &mut self,
        object: &Object,
        below: &[&'a SelectionSet],
        at: At<'_>,
        columns: &mut Columns,
    ) -> Result<Fields, Error> {
        let types = if object.table.is_some() { &[object.name, "Node"][..] } else { &[object.name][..] };
        let selection = self.scope.fields(below, types);
        let mut fields = Vec::with_capacity(selection.len());
        for selected in selection {
            let shape = match selected.field.name.node.as_str() {
                "__typename" => Shape::Typename(object.name),
                _ => self.field(object, &selected, at, columns)?,
            };
            fields.push((key(selected.key), shape));
        }
        Ok(fields)
    }

    pub(super) fn object(&self, name: &str) -> Result<&'a Object, Error> {
        self.asked.model.object(name).ok_or_else(|| Error::new(Code::Internal, format!("the model has no {name}")))
    }

    /// A record of an object, how it is written, and where it comes from.
    fn subquery(
        &mut self,
        object: &str,
        selected: &Selected<'a>,
        source: Source,
        arguments: &Arguments,
        At { row, times }: At<'_>,
    ) -> Result<(String, Fields, String), Error> {
        let (object, child) = (self.object(object)?, self.alias());
        let from = match source {
            Source::ByKey(column) => by_key(object, &child, row, column),
            Source::Fixed(text) => text.replace("{child}", &child).replace("{parent}", row),
            Source::Made(make) => make(&Call { child: &child, parent: row, arguments }, &mut self.parameters)?,
        };
        let mut columns = Columns::default();
        let at = At { row: &[child.as_str(), "."].concat(), times };
        let fields = self.fields(object, &selected.below, at, &mut columns)?;
        Ok((columns.record(), fields, from))
    }

    /// The object with this id.
    fn by_id(
        &mut self,
        object: &Object,
        id: &str,
        selected: &Selected<'a>,
        times: usize,
        columns: &mut Columns,
    ) -> Result<Shape, Error> {
        let (child, id) = (self.alias(), self.parameters.add(Value::Text(id.to_owned())));
        let mut inner = Columns::default();
        let at = At { row: &[child.as_str(), "."].concat(), times };
        let fields = self.fields(object, &selected.below, at, &mut inner)?;
        let sql = format!("(SELECT {} FROM {})", inner.record(), by_key(object, &child, "", &id));
        Ok(Shape::Row(columns.add(sql), fields))
    }

    /// A name for rows that no others have.
    pub(super) fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }
}

/// The one row of an object whose id is in a column of the row above, unless it is gone.
fn by_key(object: &Object, child: &str, row: &str, column: &str) -> String {
    let table = object.table.unwrap_or_default();
    format!("{table} {child} WHERE {child}.id = {row}{column} AND NOT {child}.erased")
}

/// A key as JSON, with its colon.
pub(super) fn key(name: &str) -> String {
    // A name has letters, digits and underscores.
    ["\"", name, "\":"].concat()
}
