//! The schema that clients see, made of the model: it validates documents and answers what they ask about the schema itself.
//! It resolves nothing: what is asked about the views is compiled to SQL instead.

use std::sync::Arc;

use async_graphql::{
    Request, Response, ServerError, Value, Variables,
    dynamic::{
        Enum, EnumItem, Field, FieldFuture, InputObject, InputValue, Interface, InterfaceField, Object, Scalar, Schema,
        SchemaError, Subscription, SubscriptionField, SubscriptionFieldFuture, TypeRef,
    },
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute},
    parser::types::ExecutableDocument,
};

use futures::stream;

use super::{
    arguments, limits,
    model::{self, Argument, Connection, Input, Leaf, Model, What},
};

/// The schema, once for validating and once for introspection.
#[derive(Clone)]
pub(super) struct Schemas {
    validating: Schema,
    describing: Schema,
}

impl Schemas {
    /// # Errors
    /// When the model does not hang together, which a test would have found.
    pub(super) fn of(model: &Model) -> Result<Self, SchemaError> {
        let builder =
            || types(model).into_iter().fold(Schema::build(model::ROOT, None, Some(model::SUBSCRIPTION)), register);
        let limited = builder().limit_depth(limits::MAX_DEPTH).limit_directives(limits::MAX_DIRECTIVES);
        Ok(Self { validating: limited.extension(Validating).finish()?, describing: builder().finish()? })
    }

    /// In GraphQL's own language.
    pub(super) fn sdl(&self) -> String {
        self.describing.sdl()
    }

    /// Whether a document fits the schema and its limits, whatever its variables are.
    ///
    /// # Errors
    /// Why not.
    pub(super) async fn validate(&self, document: &ExecutableDocument) -> Result<(), Vec<ServerError>> {
        let mut request = Request::new("");
        request.operation_name = document.operations.iter().next().and_then(|(name, _)| name.map(ToString::to_string));
        request.set_parsed_query(document.clone());
        let response = self.validating.execute(request).await;
        if response.errors.is_empty() { Ok(()) } else { Err(response.errors) }
    }

    /// What an operation of a valid document asks about the schema, by its keys.
    pub(super) async fn describe(
        &self,
        document: &ExecutableDocument,
        name: Option<&str>,
        variables: Variables,
    ) -> Response {
        let mut request = Request::new("").variables(variables);
        request.operation_name = name.map(str::to_owned);
        request.set_parsed_query(document.clone());
        self.describing.execute(request).await
    }
}

/// Ends an operation where its execution would begin.
struct Validating;

impl ExtensionFactory for Validating {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for Validating {
    async fn execute(&self, _: &ExtensionContext<'_>, _: Option<&str>, _: NextExecute<'_>) -> Response {
        Response::default()
    }
}

enum Type {
    Object(Object),
    Subscription(Subscription),
    Interface(Interface),
    Enum(Enum),
    Input(InputObject),
    Scalar(Scalar),
}

fn register(builder: async_graphql::dynamic::SchemaBuilder, ty: Type) -> async_graphql::dynamic::SchemaBuilder {
    match ty {
        Type::Object(ty) => builder.register(ty),
        Type::Subscription(ty) => builder.register(ty),
        Type::Interface(ty) => builder.register(ty),
        Type::Enum(ty) => builder.register(ty),
        Type::Input(ty) => builder.register(ty),
        Type::Scalar(ty) => builder.register(ty),
    }
}

fn types(model: &Model) -> Vec<Type> {
    let mut types = vec![node(), Type::Object(page_info())];
    types.extend(scalars().map(Type::Scalar));
    for object in model.objects.values() {
        types.push(match object.name {
            model::SUBSCRIPTION => Type::Subscription(subscription(object)),
            _ => Type::Object(self::object(object)),
        });
    }
    // Several fields may be connections of the same objects.
    let fields = model.objects.values().flat_map(|object| &object.fields);
    let mut connections: Vec<_> = fields.filter_map(|field| connection_of(&field.what)).collect();
    connections.sort_unstable_by_key(|connection| connection.object);
    connections.dedup_by_key(|connection| connection.object);
    for connection in connections {
        types.extend(self::connection(connection).map(Type::Object));
        types.push(Type::Enum(orders(connection)));
    }
    for known in &model.enums {
        let item = |(value, description): &(&'static str, _)| EnumItem::new(*value).description(*description);
        types.push(Type::Enum(
            Enum::new(known.name).description(known.description).items(known.values.iter().map(item)),
        ));
    }
    for input in &model.inputs {
        let object = InputObject::new(input.name).description(input.description);
        types.push(Type::Input(input.fields.iter().map(argument).fold(object, InputObject::field)));
    }
    types
}

pub(super) fn connection_of(what: &What) -> Option<&Connection> {
    match what {
        What::Connection(connection) => Some(connection),
        _ => None,
    }
}

fn node() -> Type {
    let id = InterfaceField::new("id", TypeRef::named_nn(TypeRef::ID)).description("Its global id.");
    let description = "Anything that can be found by its global id.";
    Type::Interface(Interface::new("Node").description(description).field(id))
}

fn object(object: &model::Object) -> Object {
    let mut ty = Object::new(object.name).description(object.description);
    if object.table.is_some() {
        ty = ty.implement("Node");
    }
    for field in &object.fields {
        let made = field_of(field.name, output_of(field), field.description);
        ty = ty.field(field.arguments.iter().map(argument).fold(made, Field::argument));
    }
    ty
}

/// Its fields are compiled as others are; nobody resolves them here, either.
fn subscription(object: &model::Object) -> Subscription {
    let ty = Subscription::new(object.name).description(object.description);
    object.fields.iter().fold(ty, |ty, field| {
        let made = SubscriptionField::new(field.name, output_of(field), |_| {
            SubscriptionFieldFuture::new(async { Ok(stream::empty::<async_graphql::Result<Value>>()) })
        })
        .description(field.description);
        ty.field(field.arguments.iter().map(argument).fold(made, SubscriptionField::argument))
    })
}

fn output_of(field: &model::Field) -> TypeRef {
    let output = output(&field.what);
    if field.is_nullable { output } else { TypeRef::NonNull(Box::new(output)) }
}

fn output(what: &What) -> TypeRef {
    match what {
        What::Leaf(leaf, _) => TypeRef::named(scalar(*leaf)),
        What::GlobalId => TypeRef::named(TypeRef::ID),
        What::Part(object, _) | What::Row(object, _) | What::ById(object) => TypeRef::named(*object),
        What::Rows(object, _) => TypeRef::named_nn_list(*object),
        What::Each(object, _) => TypeRef::named(*object),
        What::Connection(connection) => TypeRef::named(format!("{}Connection", connection.object)),
        What::Node => TypeRef::named("Node"),
    }
}

/// A field that nobody resolves here.
fn field_of(name: &str, ty: TypeRef, description: &str) -> Field {
    Field::new(name, ty, |_| FieldFuture::from_value(None)).description(description)
}

fn argument(argument: &Argument) -> InputValue {
    let name = match argument.input {
        Input::Id(_) => TypeRef::ID,
        Input::Text | Input::Texts => TypeRef::STRING,
        Input::Int => TypeRef::INT,
        Input::Date => "Date",
        Input::Enum(name) | Input::Object(name) => name,
    };
    let ty = match argument.input {
        Input::Texts => TypeRef::named_nn_list(name),
        _ if argument.is_required => TypeRef::named_nn(name),
        _ => TypeRef::named(name),
    };
    InputValue::new(argument.name, ty).description(argument.description)
}

fn connection(connection: &Connection) -> [Object; 2] {
    let object = connection.object;
    let edges = TypeRef::named_nn_list_nn(format!("{object}Edge"));
    [
        Object::new(format!("{object}Connection"))
            .description("A page of a list, by the Relay specification of connections.")
            .field(field_of("edges", edges, "What is on the page, each with its cursor."))
            .field(field_of("nodes", TypeRef::named_nn_list_nn(object), "What is on the page."))
            .field(field_of("pageInfo", TypeRef::named_nn("PageInfo"), "What is around the page.")),
        Object::new(format!("{object}Edge"))
            .description("Something and its place in the list.")
            .field(field_of(
                "cursor",
                TypeRef::named_nn(TypeRef::STRING),
                "Its place, to be given as `after` or `before`.",
            ))
            .field(field_of("node", TypeRef::named_nn(object), "What is there.")),
    ]
}

fn orders(connection: &Connection) -> Enum {
    let (name, orders) = &connection.orders;
    let items = orders.iter().flat_map(|order| {
        [("ASC", "the first one first"), ("DESC", "the last one first")].map(|(direction, words)| {
            EnumItem::new(format!("{}_{direction}", order.name)).description(format!("{}; {words}.", order.description))
        })
    });
    Enum::new(*name).description("In which order a list is.").items(items)
}

fn page_info() -> Object {
    let boolean = || TypeRef::named_nn(TypeRef::BOOLEAN);
    let text = || TypeRef::named(TypeRef::STRING);
    Object::new("PageInfo")
        .description("What is around a page.")
        .field(field_of(
            "hasNextPage",
            boolean(),
            "Whether the list goes on after this page. Known exactly when paging forwards; when paging backwards by `before`, true.",
        ))
        .field(field_of(
            "hasPreviousPage",
            boolean(),
            "Whether the list begins before this page. Known exactly when paging backwards; when paging forwards by `after`, true.",
        ))
        .field(field_of("startCursor", text(), "The cursor of the page's first edge."))
        .field(field_of("endCursor", text(), "The cursor of the page's last edge, to be given as `after`."))
}

fn scalar(leaf: Leaf) -> &'static str {
    match leaf {
        Leaf::Id => TypeRef::ID,
        Leaf::Text => TypeRef::STRING,
        Leaf::Enum(name) => name,
        Leaf::Int => TypeRef::INT,
        Leaf::Long => "Long",
        Leaf::Boolean => TypeRef::BOOLEAN,
        Leaf::Date => "Date",
        Leaf::Instant => "DateTime",
    }
}

fn scalars() -> impl Iterator<Item = Scalar> {
    let is_day = |value: &Value| matches!(value, Value::String(text) if arguments::day(text).is_some());
    [
        Scalar::new("Date")
            .description("A day of the calendar as RFC 3339 writes it: `2026-11-21`. Years 0001 to 9999.")
            .specified_by_url("https://www.rfc-editor.org/rfc/rfc3339#section-5.6")
            .validator(is_day),
        Scalar::new("DateTime")
            .description(
                "A moment as RFC 3339 writes it, in UTC and to the microsecond: `2026-11-21T09:30:00.123456Z`.",
            )
            .specified_by_url("https://www.rfc-editor.org/rfc/rfc3339#section-5.6"),
        Scalar::new("Long").description(
            "A whole number of 64 bits, as a JSON number. `Int` has only 32 bits. JavaScript reads up to 2^53 - 1 \
             exactly, which as an amount is 90 trillion euros.",
        ),
    ]
    .into_iter()
}
