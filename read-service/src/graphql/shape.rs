//! The shape of an answer: where in a record each field is, and how it is written.

use super::{model::Leaf, page::Page};

/// Fields in the order of the selection, each with its key as JSON writes it: `"version":`.
pub(super) type Fields = Vec<(String, Shape)>;

/// What a field is written from: the place of its column in the record.
#[derive(Debug)]
pub(super) enum Shape {
    /// A constant.
    Typename(&'static str),
    /// A value.
    Leaf(Leaf, usize),
    /// An id of this type.
    GlobalId(&'static str, usize),
    /// An object in the same record.
    Part(Fields),
    /// A record, or null.
    Row(usize, Fields),
    /// An array of records.
    Rows(usize, Fields),
    /// An array of records, each told by itself, and where in a record its id is.
    Each(usize, usize, Fields),
    /// An array of records of which one page is answered.
    Page(usize, Box<PageShape>),
}

/// A page of a connection.
#[derive(Debug)]
pub(super) struct PageShape {
    pub(super) page: Page,
    /// Where in a record the value and the id are of which a cursor is made, where cursors are selected.
    pub(super) cursor: Option<(usize, usize)>,
    /// The order's name, and what it orders by.
    pub(super) order: String,
    pub(super) leaf: Leaf,
    pub(super) parts: Vec<(String, Part)>,
}

/// A field of a connection.
#[derive(Debug)]
pub(super) enum Part {
    Nodes(Fields),
    Edges(Vec<(String, Edge)>),
    Info(Vec<(String, Info)>),
    Typename(String),
}

/// A field of an edge.
#[derive(Debug)]
pub(super) enum Edge {
    Cursor,
    Node(Fields),
    Typename(String),
}

/// A field of a page's info.
#[derive(Clone, Copy, Debug)]
pub(super) enum Info {
    HasNext,
    HasPrevious,
    Start,
    End,
    Typename,
}
