//! Connections: which rows a page has, in which order, and what is selected around them.

use super::fields::{At, Columns, Compiler, key};
use crate::graphql::{
    arguments::Arguments,
    error::{Code, Error},
    model::{Connection, Leaf, Object},
    page::{Page, Place},
    parameters::{Parameters, Value},
    selection::Selected,
    shape::{Edge, Info, PageShape, Part, Shape},
};

/// In which order a list is.
struct Sorting {
    /// The columns that make a row's place in it: the one that was asked for, and the id, which is like no other's.
    columns: [&'static str; 2],
    /// What the first of them is.
    leaf: Leaf,
    is_descending: bool,
    /// Its name in cursors: one is good for one list in one direction.
    cursor: String,
}

impl Sorting {
    /// The order that the arguments name, else the first.
    fn of(connection: &Connection, arguments: &Arguments) -> Result<Self, Error> {
        let orders = &connection.orders.1;
        let named = arguments.text("orderBy").and_then(|text| text.rsplit_once('_'));
        let order = named.and_then(|(name, _)| orders.iter().find(|order| order.name == name)).or(orders.first());
        let order = order.ok_or_else(|| Error::new(Code::Internal, format!("{} has no order", connection.orders.0)))?;
        let is_descending = named.is_some_and(|(_, direction)| direction == "DESC");
        let cursor = [order.name, if is_descending { "_DESC" } else { "" }].concat();
        Ok(Self { columns: [order.column, "id"], leaf: order.leaf, is_descending, cursor })
    }

    /// The columns that make a row's place, each once.
    fn keyset(&self) -> &[&'static str] {
        if self.columns[0] == self.columns[1] { &self.columns[1..] } else { &self.columns }
    }

    /// That rows come after a place, or before it.
    fn beyond(&self, place: &Place, comes_after: bool, row: &str, parameters: &mut Parameters) -> String {
        let keyset = self.keyset();
        let place = [place.value.clone(), Value::Text(place.id.clone())];
        let values = place.into_iter().skip(self.columns.len() - keyset.len()).map(|value| parameters.add(value));
        let (columns, values): (Vec<_>, Vec<_>) =
            keyset.iter().zip(values).map(|(column, value)| ([row, *column].concat(), value)).unzip();
        let than = if comes_after == self.is_descending { "<" } else { ">" };
        format!(" AND ({}) {than} ({})", columns.join(", "), values.join(", "))
    }

    /// What rows are ordered by, from the list's end or its beginning.
    fn by(&self, from_end: bool, row: &str) -> String {
        let direction = if self.is_descending == from_end { " ASC" } else { " DESC" };
        let mut by = String::with_capacity(32);
        for column in self.keyset() {
            let comma = if by.is_empty() { "" } else { ", " };
            by.extend([comma, row, *column, direction]);
        }
        by
    }
}

/// The rows of a page.
struct Rows<'r> {
    object: &'r Object,
    at: At<'r>,
    columns: Columns,
    sorting: &'r Sorting,
    /// Where in a record a row's place is, where cursors are selected.
    cursor: Option<(usize, usize)>,
}

impl Rows<'_> {
    /// Cursors are selected.
    fn need_cursor(&mut self) {
        let [value, id] = self.sorting.columns.map(|column| self.columns.add([self.at.row, column].concat()));
        self.cursor = Some((value, id));
    }

    fn ty(&self, suffix: &str) -> String {
        [self.object.name, suffix].concat()
    }
}

impl<'a> Compiler<'a> {
    /// A page of a list.
    pub(super) fn connection(
        &mut self,
        connection: &Connection,
        selected: &Selected<'a>,
        arguments: &Arguments,
        at: At<'_>,
        columns: &mut Columns,
    ) -> Result<Shape, Error> {
        if let Some(check) = connection.check {
            check(arguments)?;
        }
        let sorting = Sorting::of(connection, arguments)?;
        let page = Page::of(arguments, &sorting.cursor, sorting.leaf)?;
        let times = at.times.saturating_mul(page.size);
        // The rows are read whatever is selected of them.
        self.cost = self.cost.saturating_add(times);

        let child = self.alias();
        let row = [child.as_str(), "."].concat();
        let mut from =
            narrowed(connection.from, &connection.conditions, &child, at.row, arguments, &mut self.parameters);
        for (place, comes_after) in [(&page.after, true), (&page.before, false)] {
            if let Some(place) = place {
                from.push_str(&sorting.beyond(place, comes_after, &row, &mut self.parameters));
            }
        }
        let (object, at) = (self.object(connection.object)?, At { row: &row, times });
        let mut rows = Rows { object, at, columns: Columns::default(), sorting: &sorting, cursor: None };
        let parts = self.parts(selected, &mut rows)?;
        let (record, cursor) = (rows.columns.record(), rows.cursor);
        let (by, limit) = (sorting.by(page.from_end, &row), page.limit());
        let sql = format!("ARRAY(SELECT {record} FROM {from} ORDER BY {by} LIMIT {limit})");
        let shape = PageShape { page, cursor, leaf: sorting.leaf, order: sorting.cursor, parts };
        Ok(Shape::Page(columns.add(sql), Box::new(shape)))
    }

    /// The fields of a connection.
    fn parts(&mut self, selected: &Selected<'a>, rows: &mut Rows<'_>) -> Result<Vec<(String, Part)>, Error> {
        let mut parts = Vec::new();
        for selected in self.scope.fields(&selected.below, &[&rows.ty("Connection")]) {
            self.cost = self.cost.saturating_add(1);
            let part = match selected.field.name.node.as_str() {
                "nodes" => Part::Nodes(self.fields(rows.object, &selected.below, rows.at, &mut rows.columns)?),
                "edges" => Part::Edges(self.edges(&selected, rows)?),
                "pageInfo" => Part::Info(self.page_info(&selected, rows)),
                _ => Part::Typename(rows.ty("Connection")),
            };
            parts.push((key(selected.key), part));
        }
        Ok(parts)
    }

    fn edges(&mut self, selected: &Selected<'a>, rows: &mut Rows<'_>) -> Result<Vec<(String, Edge)>, Error> {
        let mut edges = Vec::new();
        for selected in self.scope.fields(&selected.below, &[&rows.ty("Edge")]) {
            let edge = match selected.field.name.node.as_str() {
                "node" => Edge::Node(self.fields(rows.object, &selected.below, rows.at, &mut rows.columns)?),
                "cursor" => {
                    rows.need_cursor();
                    Edge::Cursor
                }
                _ => Edge::Typename(rows.ty("Edge")),
            };
            edges.push((key(selected.key), edge));
        }
        Ok(edges)
    }

    fn page_info(&self, selected: &Selected<'a>, rows: &mut Rows<'_>) -> Vec<(String, Info)> {
        let mut info = Vec::new();
        for selected in self.scope.fields(&selected.below, &["PageInfo"]) {
            let name = selected.field.name.node.as_str();
            if name.ends_with("Cursor") {
                rows.need_cursor();
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
        info
    }
}

/// Which rows of a view fit the arguments, or the fields of the argument `filter`, that are given.
pub(in crate::graphql) fn narrowed(
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
