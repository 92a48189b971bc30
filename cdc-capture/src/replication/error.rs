//! What can go wrong on the PostgreSQL side, and whether waiting may help.

use std::fmt;

use pgwire::error::{ErrorInfo, PgWireClientError, PgWireError};

use super::frame::MalformedFrame;

/// Why a connection could not be made or has ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Transient: the server is not there, has gone away or refuses for now.
    #[error("PostgreSQL: {0}")]
    Unavailable(String),
    /// Transient: another relay has the slot. It is waited for, as a standby does.
    #[error("standby: {0}")]
    SlotInUse(String),
    /// Definite until someone repairs it: what the set-up lacks, each with its remedy.
    #[error("{}", list(.0))]
    SetUp(Vec<Finding>),
    /// The slot is missing or lost, and all else is as it should be.
    #[error("{0}")]
    LostSlot(Finding),
    /// Definite: the server said something that the protocol does not know.
    #[error("PostgreSQL sent what the replication protocol does not know: {0}")]
    Protocol(String),
}

/// Something that is wrong with the set-up, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub problem: String,
    /// What repairs it.
    pub remedy: String,
}

impl Finding {
    pub(crate) fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.problem, self.remedy)
    }
}

fn list(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Error {
    pub(super) fn closed() -> Self {
        Self::Unavailable("the server closed the connection".to_owned())
    }

    /// The connection failed. A certificate that is refused does not mend itself.
    fn unreachable(text: String) -> Self {
        if text.contains("peer certificate") {
            let remedy = "name the server as its certificate does, and its CA with sslrootcert";
            return Self::SetUp(vec![Finding::new(text, remedy)]);
        }
        Self::Unavailable(text)
    }

    /// What the server itself reported.
    pub(super) fn reported(info: &ErrorInfo) -> Self {
        let mut text = info.message.clone();
        for more in [&info.detail, &info.hint].into_iter().flatten() {
            text.push_str(": ");
            text.push_str(more);
        }
        match info.code.as_str() {
            // The second: a slot of that name is there already.
            "55006" | "42710" => Self::SlotInUse(text),
            "42704" => Self::SetUp(vec![Finding::new(text, "run `cdc-capture setup`")]),
            "28P01" | "28000" => Self::SetUp(vec![Finding::new(text, "check the user, its password and pg_hba.conf")]),
            "3D000" => Self::SetUp(vec![Finding::new(text, "check the database's name in --database-url")]),
            "42501" => Self::SetUp(vec![Finding::new(
                text,
                "`cdc-capture check` names what the role lacks (GRANT …, or ALTER ROLE … REPLICATION)",
            )]),
            "55000" => Self::SetUp(vec![Finding::new(text, "see the slot's state in pg_replication_slots")]),
            _ => Self::Unavailable(text),
        }
    }
}

impl From<PgWireClientError> for Error {
    fn from(error: PgWireClientError) -> Self {
        match error {
            PgWireClientError::RemoteError(info) => Self::reported(&info),
            PgWireClientError::UnexpectedEOF => Self::closed(),
            PgWireClientError::UnexpectedMessage(message) => Self::Protocol(format!("{message:?}")),
            PgWireClientError::PgWireError(error) => error.into(),
            error => Self::unreachable(telemetry::database::reason(&error)),
        }
    }
}

impl From<PgWireError> for Error {
    fn from(error: PgWireError) -> Self {
        match error {
            PgWireError::IoError(error) => Self::unreachable(error.to_string()),
            error => Self::Protocol(error.to_string()),
        }
    }
}

impl From<MalformedFrame> for Error {
    fn from(error: MalformedFrame) -> Self {
        Self::Protocol(error.to_string())
    }
}
