//! The running stream: frames in, statuses out, and the clock of both.
//!
//! Guarantees: a status goes out at least every fifth of the server's `wal_sender_timeout`, whether or not frames are
//! being read; confirmations are grouped, so that there are at most ten a second of them; a server that says nothing
//! though it was asked is given up.

use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use contracts::envelope::Lsn;
use futures::{FutureExt, SinkExt, StreamExt};
use pgwire::{
    error::{ErrorInfo, PgWireError},
    messages::{
        PgWireBackendMessage, PgWireFrontendMessage,
        copy::{CopyData, CopyDone},
        terminate::Terminate,
    },
    tokio::client::PgWireClient,
};
use tokio::time::{Instant, timeout};

use super::{Error, Frame, Slot, frame::status};

/// Confirmations are sent at most this often.
const CONFIRM_EVERY: Duration = Duration::from_millis(100);
/// A status is sent at least this often, whatever the server's timeout is.
const STATUS_AT_LEAST_EVERY: Duration = Duration::from_secs(10);
/// PostgreSQL's own default, for a server that has it switched off.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// 2000-01-01 in microseconds of the Unix epoch.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// A slot that is being streamed.
pub struct Stream {
    client: PgWireClient,
    confirmed: Lsn,
    wal_end: Lsn,
    unreported: bool,
    status_sent: Instant,
    status_every: Duration,
    heard: Instant,
    silence_limit: Duration,
}

impl Stream {
    pub(super) fn new(client: PgWireClient, slot: &Slot) -> Self {
        let limit = slot.wal_sender_timeout.unwrap_or(DEFAULT_TIMEOUT);
        Self {
            client,
            confirmed: slot.confirmed,
            wal_end: slot.log_end.max(slot.confirmed),
            unreported: false,
            status_sent: Instant::now(),
            status_every: (limit / 5).min(STATUS_AT_LEAST_EVERY),
            heard: Instant::now(),
            silence_limit: limit,
        }
    }

    /// The next frame. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the connection ends or fails.
    pub async fn next(&mut self) -> Result<Frame, Error> {
        let message = self.client.next().await;
        self.heard = Instant::now();
        self.frame(message)
    }

    /// A frame that is here already, without waiting.
    ///
    /// # Errors
    /// When the connection ends or fails.
    pub fn try_next(&mut self) -> Result<Option<Frame>, Error> {
        match self.client.next().now_or_never() {
            None => Ok(None),
            Some(message) => self.frame(message).map(Some),
        }
    }

    fn frame(&mut self, message: Option<Result<PgWireBackendMessage, PgWireError>>) -> Result<Frame, Error> {
        match message.ok_or_else(Error::closed)?? {
            PgWireBackendMessage::CopyData(CopyData { data, .. }) => {
                let (frame, wal_end) = Frame::read(data)?;
                self.wal_end = self.wal_end.max(wal_end);
                Ok(frame)
            }
            PgWireBackendMessage::ErrorResponse(error) => Err(Error::reported(&ErrorInfo::from(error))),
            // Notices and changed parameters; as harmless as an empty piece of the log.
            PgWireBackendMessage::NoticeResponse(_) | PgWireBackendMessage::ParameterStatus(_) => {
                Ok(Frame::Keepalive { wal_end: Lsn::ZERO, reply_wanted: false })
            }
            PgWireBackendMessage::CopyDone(_) | PgWireBackendMessage::CommandComplete(_) => Err(Error::closed()),
            message => Err(Error::Protocol(format!("{message:?}"))),
        }
    }

    /// How far the server's log is known to reach.
    pub fn wal_end(&self) -> Lsn {
        self.wal_end
    }

    /// After so long without a status the server gives the slot to another relay: its `wal_sender_timeout`.
    pub fn patience(&self) -> Duration {
        self.silence_limit
    }

    /// What was confirmed last, or waits to be with the next status.
    pub fn confirmed(&self) -> Lsn {
        self.confirmed
    }

    /// Notes that everything before `lsn` is delivered. It is reported with the next status.
    pub fn confirm(&mut self, lsn: Lsn) {
        if lsn > self.confirmed {
            self.confirmed = lsn;
            self.unreported = true;
        }
    }

    /// When the next status is due.
    pub fn status_due(&self) -> Instant {
        self.status_sent + if self.unreported { CONFIRM_EVERY } else { self.status_every }
    }

    /// The earliest time for the next confirmation, should there be something to confirm.
    pub fn confirmation_due(&self) -> Instant {
        self.status_sent + CONFIRM_EVERY
    }

    /// Frames are not being read: then the server's silence means nothing.
    pub fn not_listening(&mut self) {
        self.heard = Instant::now();
    }

    /// Sends what [`Stream::confirm`] was told. When nothing was heard for long, the server is asked to answer.
    ///
    /// # Errors
    /// When the connection fails, or the server has been silent for too long.
    pub async fn send_status(&mut self) -> Result<(), Error> {
        if self.heard.elapsed() > self.silence_limit {
            return Err(Error::Unavailable(format!("no word from the server for {:?}", self.silence_limit)));
        }
        let ask = self.heard.elapsed() >= self.status_every / 2;
        self.send(PgWireFrontendMessage::CopyData(CopyData::new(self.status(ask)))).await?;
        self.unreported = false;
        self.status_sent = Instant::now();
        Ok(())
    }

    fn status(&self, ask: bool) -> Bytes {
        status(self.confirmed, Utc::now().timestamp_micros() - POSTGRES_EPOCH, ask)
    }

    async fn send(&mut self, message: PgWireFrontendMessage) -> Result<(), Error> {
        match timeout(self.silence_limit, self.client.send(message)).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(Error::Unavailable("the server takes nothing any more".to_owned())),
        }
    }

    /// Ends the stream so that the server has taken the last confirmation and freed the slot, within `bound`.
    ///
    /// # Errors
    /// When the connection fails first or the time is over.
    pub async fn finish(mut self, bound: Duration) -> Result<(), Error> {
        let ending = async {
            self.send(PgWireFrontendMessage::CopyData(CopyData::new(self.status(false)))).await?;
            self.send(PgWireFrontendMessage::CopyDone(CopyDone::new())).await?;
            while let Some(message) = self.client.next().await {
                // What was under way is dropped here: it is not confirmed, so it comes again.
                if let PgWireBackendMessage::ReadyForQuery(_) = message? {
                    break;
                }
            }
            self.send(PgWireFrontendMessage::Terminate(Terminate::new())).await
        };
        timeout(bound, ending).await.unwrap_or_else(|_| Err(Error::Unavailable("the stream did not end".to_owned())))
    }
}
