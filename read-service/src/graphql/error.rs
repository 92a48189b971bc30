//! What a client is told when something fails: a message that helps, and a code in `extensions.code` to act on.
//!
//! No text of the database ever gets out: it is logged here, once, and the client learns what kind of failure it was.

use async_graphql::ServerError;

use crate::view;

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The document is not GraphQL.
    ParseFailed,
    /// The document does not fit the schema, or is beyond a limit.
    ValidationFailed,
    /// It came without a token that is good here.
    Unauthenticated,
    /// No text is known by this hash: send it once more, with the hash.
    PersistedQueryNotFound,
    /// It says something of persons, and who asks may not see that.
    Forbidden,
    /// The document has not exactly one operation that could be meant.
    OperationResolutionFailure,
    /// The request's parts are there, but one of them cannot be used: an argument, a token, a header.
    BadUserInput,
    /// It must be sent by another HTTP method.
    MethodNotAllowed,
    /// The request is no GraphQL request at all.
    BadRequest,
    /// What `readAfter` asks for was not there in time. Try again.
    NotYetVisible,
    /// It took too long.
    Timeout,
    /// The database is not there at the moment. Try again.
    Unavailable,
    /// A fault of this service; its log knows more.
    Internal,
}

impl Code {
    const ALL: [Self; 13] = [
        Self::ParseFailed,
        Self::ValidationFailed,
        Self::Unauthenticated,
        Self::PersistedQueryNotFound,
        Self::Forbidden,
        Self::OperationResolutionFailure,
        Self::BadUserInput,
        Self::MethodNotAllowed,
        Self::BadRequest,
        Self::NotYetVisible,
        Self::Timeout,
        Self::Unavailable,
        Self::Internal,
    ];

    /// As it stands in `extensions.code`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::ValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::PersistedQueryNotFound => "PERSISTED_QUERY_NOT_FOUND",
            Self::Forbidden => "FORBIDDEN",
            Self::OperationResolutionFailure => "OPERATION_RESOLUTION_FAILURE",
            Self::BadUserInput => "BAD_USER_INPUT",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::BadRequest => "BAD_REQUEST",
            Self::NotYetVisible => "NOT_YET_VISIBLE",
            Self::Timeout => "TIMEOUT",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL_SERVER_ERROR",
        }
    }

    /// The code that an error carries.
    pub fn of(error: &ServerError) -> Option<Self> {
        let code = error.extensions.as_ref()?.get("code")?;
        Self::ALL.into_iter().find(|known| matches!(code, async_graphql::Value::String(name) if name == known.name()))
    }
}

/// A failure on its way to the client.
///
/// Not `Display`: the library would turn it into an error without a code.
#[derive(Clone, Debug)]
pub struct Error {
    /// What kind.
    pub code: Code,
    /// For the client's reader.
    pub message: String,
}

impl Error {
    /// A failure of this kind.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// An argument that cannot be used.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(Code::BadUserInput, message)
    }

    /// As the answer's error without a path.
    pub fn into_server_error(self) -> ServerError {
        let mut error = ServerError::new(self.message, None);
        set_code(&mut error, self.code);
        error
    }
}

impl From<view::Error> for Error {
    fn from(error: view::Error) -> Self {
        Self::from_view(&error)
    }
}

impl Error {
    /// What a client is told of a statement that has failed.
    pub(super) fn from_view(error: &view::Error) -> Self {
        match error {
            view::Error::Unavailable(_) => {
                tracing::warn!(%error, "a query was not answered");
                Self::new(Code::Unavailable, "the views cannot be reached at the moment; try again")
            }
            view::Error::Timeout => Self::new(Code::Timeout, "the query took too long; ask for less"),
            view::Error::TooLarge => Self::input("a sum is larger than 64 bits hold; ask for less"),
            view::Error::Failed(_) => {
                tracing::error!(%error, "a query failed");
                Self::new(Code::Internal, "the query failed, by a fault of this service")
            }
        }
    }
}

fn set_code(error: &mut ServerError, code: Code) {
    error.extensions.get_or_insert_default().set("code", code.name());
}

/// Gives the errors of validation, which the library has made, their code.
pub(super) fn complete(errors: &mut [ServerError]) {
    for error in errors {
        if Code::of(error).is_none() {
            set_code(error, Code::ValidationFailed);
        }
    }
}
