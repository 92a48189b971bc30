//! An answer: what was found, as JSON, and what was not, as errors.

use async_graphql::{PathSegment, Response, ServerError, Value};

use super::{
    error::{Code, Error},
    write::{self, Malformed},
};

/// What came of a request.
#[derive(Debug)]
pub enum Answer {
    /// It was refused before anything was executed, so there is no `data`. Every error has a code.
    Refused(Vec<ServerError>),
    /// It was executed: the whole answer as JSON, and the code of its first error, if it has any.
    Executed(Vec<u8>, Option<Code>),
}

impl Answer {
    /// The code of its first error.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(errors) => errors.first().and_then(Code::of),
            Self::Executed(_, code) => *code,
        }
    }
}

/// An answer that is being written: `data` first, then `errors`.
pub(super) struct Body {
    text: Vec<u8>,
    errors: Vec<ServerError>,
    members: usize,
    has_data: bool,
}

impl Body {
    pub(super) fn new() -> Self {
        let mut text = Vec::with_capacity(1024);
        text.extend_from_slice(b"{\"data\":{");
        Self { text, errors: Vec::new(), members: 0, has_data: false }
    }

    /// A field; null where writing it fails.
    pub(super) fn member(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>) -> Result<(), Malformed>) {
        let start = self.begin(key);
        match write(&mut self.text) {
            Ok(()) => self.has_data = true,
            Err(malformed) => {
                tracing::error!(error = %malformed, "a query failed");
                self.text.truncate(start);
                self.null(key, Error::new(Code::Internal, "the query failed, by a fault of this service"));
            }
        }
    }

    /// A field that has failed. Every field of the root may be null, so that it takes no other with it.
    pub(super) fn fail(&mut self, key: &str, error: Error) {
        self.begin(key);
        self.null(key, error);
    }

    /// A field that the schema has answered about itself, or has not.
    pub(super) fn describe(&mut self, key: &str, described: &Response) {
        // What is wrong with the request as a whole has no path.
        let concerns = |error: &&ServerError| match error.path.first() {
            Some(PathSegment::Field(field)) => field == key,
            _ => true,
        };
        if let Some(error) = described.errors.iter().find(concerns) {
            return self.fail(key, Error::new(Code::ValidationFailed, error.message.as_str()));
        }
        let value = match &described.data {
            Value::Object(fields) => fields.get(key),
            _ => None,
        };
        let Some(value) = value else {
            return self.fail(key, Error::new(Code::Internal, "the schema cannot be described"));
        };
        self.begin(key);
        self.has_data = true;
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(&mut self.text, value);
    }

    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// The answer. Where nothing is left but arguments that cannot be used, the request is refused.
    pub(super) fn finish(mut self) -> Answer {
        let is_input =
            |error: &ServerError| matches!(Code::of(error), Some(Code::BadUserInput | Code::ValidationFailed));
        if !self.has_data && !self.errors.is_empty() && self.errors.iter().all(is_input) {
            return Answer::Refused(self.errors);
        }
        self.text.push(b'}');
        if !self.errors.is_empty() {
            self.text.extend_from_slice(b",\"errors\":");
            let _ = serde_json::to_writer(&mut self.text, &self.errors);
        }
        self.text.push(b'}');
        Answer::Executed(self.text, self.errors.first().and_then(Code::of))
    }

    fn begin(&mut self, key: &str) -> usize {
        if self.members > 0 {
            self.text.push(b',');
        }
        self.members += 1;
        write::text(key, &mut self.text);
        self.text.push(b':');
        self.text.len()
    }

    fn null(&mut self, key: &str, error: Error) {
        self.text.extend_from_slice(b"null");
        let mut error = error.into_server_error();
        error.path = vec![PathSegment::Field(key.to_owned())];
        self.errors.push(error);
    }
}
