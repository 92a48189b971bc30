//! Commands that arrive as messages.

use std::sync::Arc;

use contracts::{
    Topic,
    direct_booking::{BookingCommand, COMMANDS},
    id::BookingId,
};
use deadpool_postgres::Transaction;
use inbox::{Delivery, Handler, Parking, Unapplied, Undecodable};

use super::super::http::bookings::SendConfirmation;
use crate::{context::Surroundings, idempotency::Answers, message::Message, path::Id};

/// Does commands.
pub(super) struct Commands {
    pub(super) answers: Answers,
    pub(super) surroundings: Arc<Surroundings>,
}

/// A command, and which booking it is about.
pub(super) struct Commanded {
    message: Message,
    booking_id: BookingId,
}

impl Handler for Commands {
    type Event = Commanded;

    fn name(&self) -> &'static str {
        "direct-booking.commands"
    }

    fn topics(&self) -> &'static [Topic] {
        &[COMMANDS]
    }

    /// A command does not build on another: one that cannot be read holds up none.
    fn parking(&self) -> Parking {
        Parking::Alone
    }

    /// A command is known by its answer, which is kept for some time.
    fn repeats(&self) -> Option<&'static str> {
        Some(
            "do each command again of which no answer is kept any more (--idempotency-keep): guests are sent a second confirmation",
        )
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<Commanded>, Undecodable> {
        if delivery.envelope.ty != BookingCommand::SendConfirmation.ty() {
            return Err(Undecodable(format!("{} is no command of this context", delivery.envelope.ty)));
        }
        let message = Message::read::<SendConfirmation>(delivery)?;
        let booking_id = message.subject().parse().map_err(|error| Undecodable(format!("ce_subject: {error}")))?;
        Ok(Some(Commanded { message, booking_id }))
    }

    async fn apply(&self, transaction: &Transaction<'_>, events: &[Commanded]) -> Result<(), Unapplied> {
        // Bookings are locked in one order, those of one booking in the order in which its commands came.
        let mut ordered: Vec<_> = events.iter().collect();
        ordered.sort_by(|one, other| one.booking_id.cmp(&other.booking_id));
        for Commanded { message, booking_id } in ordered {
            let on = Id(booking_id.clone());
            message.perform::<SendConfirmation>(on, transaction, &self.answers, &self.surroundings).await?;
        }
        Ok(())
    }
}
