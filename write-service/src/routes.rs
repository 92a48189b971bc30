//! A context's routes, each with what there is to say of it: what is served and what is documented are one list.

use std::sync::Arc;

use axum::{
    http::{Method, StatusCode},
    routing::MethodRouter,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use crate::{
    action::{self, Action},
    body::Presence,
    fields,
    outcome::{self, Begun},
    reading::{self, Readable},
    shell::Shell,
};

/// The routes of a context, below its name.
#[derive(Default)]
pub(crate) struct Routes {
    pub(crate) operations: Vec<Operation>,
}

/// What a client has to know of one route.
pub(crate) struct Operation {
    pub(crate) method: Method,
    /// Below the context's name; `{id}` is its only parameter.
    pub(crate) path: &'static str,
    pub(crate) name: String,
    pub(crate) summary: &'static str,
    /// What a command takes: the schema of its body, and whether that may be left out.
    pub(crate) body: Option<(Value, Presence)>,
    /// The status of its success, and the document that it answers then.
    pub(crate) status: StatusCode,
    pub(crate) document: fn(&mut SchemaGenerator) -> Schema,
    /// Whether what comes of it may be waited for, by `Prefer: wait=N`.
    pub(crate) is_awaited: bool,
    /// What answers it.
    pub(crate) handler: MethodRouter<Arc<Shell>>,
}

impl Routes {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A command.
    pub(crate) fn command<A: Action>(self, path: &'static str) -> Self {
        // What day it is bounds what is accepted, but not its form.
        let body = fields::schema(|fields| A::read(fields, chrono::NaiveDate::default()));
        self.add(Operation {
            method: Method::POST,
            path,
            name: A::NAME.to_owned(),
            summary: A::SUMMARY,
            body: Some((body, A::BODY)),
            status: A::STATUS,
            document: SchemaGenerator::subschema_for::<A::Document>,
            is_awaited: A::OUTCOME.is_some(),
            handler: action::post::<A>(),
        })
    }

    /// A document to be read.
    pub(crate) fn document<D: Readable>(self, path: &'static str, summary: &'static str) -> Self {
        self.read::<D>(path, summary, false, reading::get::<D>())
    }

    /// The status resource of what a command has begun; it may be waited for.
    pub(crate) fn outcome<D: Begun>(self, path: &'static str, summary: &'static str) -> Self {
        self.read::<D::Outcome>(path, summary, true, outcome::get::<D>())
    }

    fn read<S: JsonSchema>(
        self,
        path: &'static str,
        summary: &'static str,
        is_awaited: bool,
        handler: MethodRouter<Arc<Shell>>,
    ) -> Self {
        self.add(Operation {
            method: Method::GET,
            path,
            name: format!("Get{}", S::schema_name().trim_end_matches("Document")),
            summary,
            body: None,
            status: StatusCode::OK,
            document: SchemaGenerator::subschema_for::<S>,
            is_awaited,
            handler,
        })
    }

    /// These and those.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.operations.extend(other.operations);
        self
    }

    fn add(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }
}
