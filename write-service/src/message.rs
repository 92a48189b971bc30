//! Commands that arrive as messages take the way of those that come by HTTP: read by the same code, done once, their answer kept.

use chrono::Utc;
use deadpool_postgres::Transaction;
use inbox::{Delivery, Unapplied, Undecodable};
use serde_json::{Map, Value};
use std::sync::Arc;

use crate::{
    action::{self, Action, Done},
    command::{Cause, Command},
    context::Surroundings,
    fields,
    idempotency::{Answers, Fingerprint, Scope},
};

/// One command, as its message brings it.
pub(crate) struct Message {
    scope: Scope,
    cause: Cause,
    subject: String,
    body: Value,
}

impl Message {
    /// Reads a command of the kind `A`.
    pub(crate) fn read<A: Action>(delivery: &Delivery) -> Result<Self, Undecodable> {
        let envelope = &delivery.envelope;
        let body: Value = delivery.decode()?.unwrap_or_else(|| Value::Object(Map::new()));
        fields::read(&body, |fields| A::read(fields, Utc::now().date_naive()))
            .map_err(|problem| Undecodable(problem.in_a_line()))?;
        let scope = Scope::of_message(envelope, &delivery.topic);
        Ok(Self { scope, cause: Cause::of(envelope), subject: envelope.subject.clone(), body })
    }

    /// Whom the command is about.
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// Does it, within the transaction in which its message is taken in; nothing where that was done before.
    pub(crate) async fn perform<A: Action>(
        &self,
        on: A::On,
        transaction: &Transaction<'_>,
        answers: &Answers,
        surroundings: &Arc<Surroundings>,
    ) -> Result<(), Unapplied> {
        let command = Command::of_message(self.cause.clone(), surroundings.clone());
        let fingerprint = Fingerprint::of(&self.body);
        let done =
            action::within::<A>(transaction, answers, &self.scope, fingerprint, on, &self.body, &command).await?;
        match done {
            Done::Before(_) => Ok(()),
            Done::InFlight => Err(Unapplied::Delayed("the same command is being done".to_owned())),
            Done::NotNow(answer) if answer.status.as_u16() == 500 => {
                Err(Unapplied::Refused("the command failed; the log says why".to_owned()))
            }
            Done::NotNow(answer) => {
                Err(Unapplied::Delayed(format!("the command cannot be done now: {}", answer.status)))
            }
            Done::Now(answer) => {
                if answer.status.is_client_error() {
                    let (command, id) = (A::NAME, self.cause.id);
                    tracing::warn!(command, %id, status = %answer.status, "a command that came as a message is refused");
                }
                Ok(())
            }
        }
    }
}
