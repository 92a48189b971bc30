//! Documents: bounded, parsed and validated once, however often they are sent.

use std::sync::Arc;

use async_graphql::{
    ServerError,
    parser::{parse_query, types::ExecutableDocument},
};

use super::{
    conditions,
    error::{self, Code, Error},
    limits,
    schema::Schemas,
};
use crate::recent::Recent;

/// How many bytes of text are remembered with their documents. A document takes some twenty times as much as its text.
const REMEMBERED: usize = 256 * 1024;

/// Texts and what they are, for those that are valid.
pub(super) struct Documents {
    schemas: Schemas,
    known: Recent<String, Arc<ExecutableDocument>>,
}

impl Documents {
    pub(super) fn new(schemas: Schemas) -> Self {
        Self { schemas, known: Recent::new(REMEMBERED) }
    }

    /// The document of this text, and whether it is known to be valid.
    ///
    /// # Errors
    /// Why it is no document.
    pub(super) fn parse(&self, text: &str) -> Result<(Arc<ExecutableDocument>, bool), ServerError> {
        match self.known.get(text) {
            Some(document) => Ok((document, true)),
            None => Ok((Arc::new(parse(text)?), false)),
        }
    }

    /// Validates a document, and remembers it.
    ///
    /// # Errors
    /// Why it is not valid.
    pub(super) async fn validate(
        &self,
        text: &str,
        document: &Arc<ExecutableDocument>,
    ) -> Result<(), Vec<ServerError>> {
        self.schemas.validate(document).await.map_err(|mut errors| {
            error::complete(&mut errors);
            errors
        })?;
        conditions::check(document)
            .map_err(|reason| vec![Error::new(Code::ValidationFailed, reason).into_server_error()])?;
        self.known.insert(text.to_owned(), document.clone(), text.len() + 64);
        Ok(())
    }
}

fn parse(text: &str) -> Result<ExecutableDocument, ServerError> {
    let refuse = |code, message: String| Error::new(code, message).into_server_error();
    limits::check_text(text).map_err(|reason| refuse(Code::ValidationFailed, reason))?;
    let document = parse_query(text).map_err(|error| {
        let mut refusal = refuse(Code::ParseFailed, error.to_string());
        refusal.locations = error.positions().collect();
        refusal
    })?;
    limits::check_document(&document).map_err(|reason| refuse(Code::ValidationFailed, reason))?;
    Ok(document)
}
