//! The words in which the model is written: objects, fields, and from where in the views each comes.

use super::super::{arguments::Arguments, error::Error, freshness::Place, parameters::Parameters};
use crate::live::Watched;

/// A type of object.
#[derive(Debug)]
pub(in crate::graphql) struct Object {
    pub(in crate::graphql) name: &'static str,
    pub(in crate::graphql) description: &'static str,
    /// Where it is found by its id, if it has one: `view.booking`.
    pub(in crate::graphql) table: Option<&'static str>,
    pub(in crate::graphql) fields: Vec<Field>,
}

/// A field of an object.
#[derive(Debug)]
pub(in crate::graphql) struct Field {
    pub(in crate::graphql) name: &'static str,
    pub(in crate::graphql) description: &'static str,
    pub(in crate::graphql) arguments: Vec<Argument>,
    pub(in crate::graphql) is_nullable: bool,
    /// It says something of a person: not everybody may ask for it.
    pub(in crate::graphql) is_personal: bool,
    pub(in crate::graphql) what: What,
    pub(in crate::graphql) weight: Weight,
    /// At the root: where a token's event has to be before it is answered.
    pub(in crate::graphql) place: Place,
    /// For a subscription: what is followed.
    pub(in crate::graphql) follows: fn(&Arguments) -> Vec<Watched>,
}

/// What a field counts for in a query's complexity; for a list, how many rows it usually has: each counts, and what is below it
/// counts as often.
#[derive(Clone, Copy, Debug)]
pub(in crate::graphql) enum Weight {
    Always(usize),
    /// By what it is given.
    By(fn(&Arguments) -> usize),
}

impl Weight {
    pub(in crate::graphql) fn of(self, arguments: &Arguments) -> usize {
        match self {
            Self::Always(weight) => weight,
            Self::By(weight) => weight(arguments),
        }
    }
}

/// What a field is, and where it comes from.
#[derive(Debug)]
pub(in crate::graphql) enum What {
    /// A value: an SQL expression in which `{}` stands before each column of the row.
    Leaf(Leaf, &'static str),
    /// The id by which `node` finds it.
    GlobalId,
    /// An object made of columns of the same row: those that begin so.
    Part(&'static str, &'static str),
    /// The one row of another view that belongs here, if there is one.
    Row(&'static str, Source),
    /// All rows of another view that belong here.
    Rows(&'static str, Source),
    /// Rows of another view, each told by itself: a subscription's alone.
    Each(&'static str, fn(&Call<'_>, &mut Parameters) -> Result<String, Error>),
    /// Rows of a view, page by page.
    Connection(Connection),
    /// The object of this type that the argument `id` names.
    ById(&'static str),
    /// The object whose global id the argument `id` is.
    Node,
}

impl What {
    /// Whether it is of the object's own row.
    #[cfg(test)]
    pub(in crate::graphql) fn is_own(&self) -> bool {
        matches!(self, Self::Leaf(..) | Self::Part(..))
    }
}

/// What a value is: how PostgreSQL sends it, and what GraphQL calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::graphql) enum Leaf {
    /// `text`
    Id,
    /// `text`
    Text,
    /// `text`, one of the enum's values.
    Enum(&'static str),
    /// `integer`
    Int,
    /// `bigint`
    Long,
    /// `boolean`
    Boolean,
    /// `date`
    Date,
    /// `timestamptz`
    Instant,
}

/// Where rows come from: what follows `FROM`.
#[derive(Clone, Copy, Debug)]
pub(in crate::graphql) enum Source {
    /// The object whose id is in this column of the row above.
    ByKey(&'static str),
    /// A text in which `{child}` is the rows' alias, and `{parent}` stands before columns of the row above.
    Fixed(&'static str),
    /// A text made from the arguments.
    Made(fn(&Call<'_>, &mut Parameters) -> Result<String, Error>),
}

/// A field that is asked for.
pub(in crate::graphql) struct Call<'a> {
    /// The alias of its rows.
    pub(in crate::graphql) child: &'a str,
    /// What stands before columns of the row above it.
    pub(in crate::graphql) parent: &'a str,
    pub(in crate::graphql) arguments: &'a Arguments,
}

/// Rows of a view, page by page, by the Relay specification of connections.
#[derive(Debug)]
pub(in crate::graphql) struct Connection {
    pub(in crate::graphql) object: &'static str,
    /// Which rows there are at all, as in [`Source::Fixed`], up to and with a `WHERE` and its conditions.
    pub(in crate::graphql) from: &'static str,
    /// What narrows them: where an argument, or a field of the argument `filter`, is given, this holds too, with its value
    /// for `{value}`.
    pub(in crate::graphql) conditions: Vec<(&'static str, &'static str)>,
    /// What its arguments have to be beside each other.
    pub(in crate::graphql) check: Option<Check>,
    /// The name of its enum of orders, and the orders; the first unless one is given.
    pub(in crate::graphql) orders: (&'static str, Vec<Order>),
}

/// Whether arguments go together.
pub(in crate::graphql) type Check = fn(&Arguments) -> Result<(), Error>;

/// An order of a connection: by this column, then by id.
#[derive(Clone, Copy, Debug)]
pub(in crate::graphql) struct Order {
    /// Its name, to which `_ASC` and `_DESC` are added.
    pub(in crate::graphql) name: &'static str,
    pub(in crate::graphql) description: &'static str,
    pub(in crate::graphql) column: &'static str,
    pub(in crate::graphql) leaf: Leaf,
}

/// An argument, or a field of an input object.
#[derive(Clone, Copy, Debug)]
pub(in crate::graphql) struct Argument {
    pub(in crate::graphql) name: &'static str,
    pub(in crate::graphql) description: &'static str,
    pub(in crate::graphql) input: Input,
    pub(in crate::graphql) is_required: bool,
}

/// What may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::graphql) enum Input {
    /// An id of this object: its own or the global one. Without a name, any text that can be a global id.
    Id(&'static str),
    Text,
    Int,
    Date,
    Enum(&'static str),
    /// Texts, none of them null.
    Texts,
    /// An input object.
    Object(&'static str),
}

/// An enum's values with their descriptions.
#[derive(Debug)]
pub(in crate::graphql) struct Enum {
    pub(in crate::graphql) name: &'static str,
    pub(in crate::graphql) description: &'static str,
    pub(in crate::graphql) values: Vec<(&'static str, &'static str)>,
}

/// An input object.
#[derive(Debug)]
pub(in crate::graphql) struct InputObject {
    pub(in crate::graphql) name: &'static str,
    pub(in crate::graphql) description: &'static str,
    pub(in crate::graphql) fields: Vec<Argument>,
}

impl Object {
    pub(super) fn new(name: &'static str, description: &'static str, fields: Vec<Field>) -> Self {
        Self { name, description, table: None, fields }
    }

    /// One that is an aggregate's row in a view: it has a global id, a version, and says how fresh it is.
    pub(super) fn row(
        name: &'static str,
        table: &'static str,
        description: &'static str,
        own: impl IntoIterator<Item = Field>,
    ) -> Self {
        let id = Field::new("id", What::GlobalId, "The id by which `node` finds it; unique among all types.");
        let common = [
            long("version", "{}version", "Its version: 1 when it was made, one more with each change."),
            instant("changedAt", "{}changed_at", "When this version was recorded by its context."),
            instant("appliedAt", "{}applied_at", "When this version arrived in this view."),
            long(
                "lagMillis",
                "(extract(epoch FROM {}applied_at - {}changed_at) * 1000)::bigint",
                "How many milliseconds after its recording this version arrived in this view.",
            ),
        ];
        let fields = std::iter::once(id).chain(own).chain(common).collect();
        Self { name, description, table: Some(table), fields }
    }

    pub(in crate::graphql) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl Field {
    pub(super) fn new(name: &'static str, what: What, description: &'static str) -> Self {
        Self {
            name,
            description,
            arguments: Vec::new(),
            is_nullable: false,
            is_personal: false,
            what,
            weight: Weight::Always(1),
            place: Place::View,
            follows: |_| Vec::new(),
        }
    }

    /// It may be null.
    pub(super) fn or_null(self) -> Self {
        Self { is_nullable: true, ..self }
    }

    /// It says something of a person.
    pub(super) fn personal(self) -> Self {
        Self { is_personal: true, ..self }
    }

    pub(super) fn takes(self, arguments: impl IntoIterator<Item = Argument>) -> Self {
        Self { arguments: arguments.into_iter().collect(), ..self }
    }

    /// It is answered from the journal.
    pub(super) fn of_journal(self) -> Self {
        Self { place: Place::Journal, ..self }
    }

    /// It is told again when one of these has changed.
    pub(super) fn follows(self, follows: fn(&Arguments) -> Vec<Watched>) -> Self {
        Self { follows, ..self }
    }

    pub(super) fn weighs(self, weight: usize) -> Self {
        Self { weight: Weight::Always(weight), ..self }
    }

    pub(super) fn weighs_by(self, weight: fn(&Arguments) -> usize) -> Self {
        Self { weight: Weight::By(weight), ..self }
    }
}

impl Argument {
    pub(super) const fn new(name: &'static str, input: Input, description: &'static str) -> Self {
        Self { name, description, input, is_required: false }
    }

    /// It has to be given.
    pub(super) const fn required(self) -> Self {
        Self { is_required: true, ..self }
    }
}

macro_rules! leaves {
    ($($name:ident $leaf:ident),*) => {$(
        pub(super) fn $name(name: &'static str, sql: &'static str, description: &'static str) -> Field {
            Field::new(name, What::Leaf(Leaf::$leaf, sql), description)
        }
    )*};
}
leaves!(id Id, text Text, int Int, long Long, boolean Boolean, date Date, instant Instant);

/// One of an enum's values.
pub(super) fn one_of(ty: &'static str, name: &'static str, sql: &'static str, description: &'static str) -> Field {
    Field::new(name, What::Leaf(Leaf::Enum(ty), sql), description)
}

/// An object made of columns of the same row that begin so.
pub(super) fn part(object: &'static str, name: &'static str, prefix: &'static str, description: &'static str) -> Field {
    Field::new(name, What::Part(object, prefix), description)
}

/// An amount of money: the columns `{prefix}minor` and `{prefix}currency`.
pub(super) fn money(name: &'static str, prefix: &'static str, description: &'static str) -> Field {
    part("Money", name, prefix, description)
}

/// What another view has of it, by the column that holds its id; null until that has arrived, and when it is gone.
pub(super) fn joined(object: &'static str, name: &'static str, key: &'static str, description: &'static str) -> Field {
    Field::new(name, What::Row(object, Source::ByKey(key)), description).or_null()
}

/// A list that belongs to it, of so many usually.
pub(super) fn list(
    object: &'static str,
    name: &'static str,
    from: &'static str,
    usually: usize,
    description: &'static str,
) -> Field {
    Field::new(name, What::Rows(object, Source::Fixed(from)), description).weighs(usually)
}
