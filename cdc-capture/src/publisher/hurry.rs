//! Sending at once what waits for more to be sent together.
//!
//! The producer's linger time makes large batches of a backlog, which cost broker and relay several times less than small
//! ones. But when the log gives no more for now, waiting for more is in vain. librdkafka has one way to end the wait, its
//! flush, which blocks until all is acknowledged, so that a thread of its own has to call it.

use std::{
    ffi::c_int,
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
};

use rdkafka::{
    bindings::rd_kafka_flush,
    producer::{Producer, ThreadedProducer},
};

use super::context::Context;

/// With more in flight there is no lull: the batches that are under way are sent by linger time and size.
const FEW: i32 = 256;
/// How long one flush may block, in milliseconds. What is not acknowledged by then was sent long ago.
const LONGEST: c_int = 50;

/// Dropping it lets its thread end.
pub(super) struct Hurry {
    ask: SyncSender<()>,
}

impl Hurry {
    /// A thread for this producer, which it does not keep alive.
    pub(super) fn new(producer: &Arc<ThreadedProducer<Context>>) -> std::io::Result<Self> {
        let (ask, asked) = sync_channel(1);
        let producer = Arc::downgrade(producer);
        thread::Builder::new().name("flush".to_owned()).spawn(move || {
            while asked.recv().is_ok() {
                let Some(producer) = producer.upgrade() else { return };
                flush(&producer);
            }
        })?;
        Ok(Self { ask })
    }

    /// Has what few events there are sent at once.
    pub(super) fn hurry(&self, producer: &ThreadedProducer<Context>) {
        if producer.in_flight_count() <= FEW {
            self.hurry_all();
        }
    }

    /// Has all events sent at once, however many there are.
    pub(super) fn hurry_all(&self) {
        // One that is asked for already comes after what is handed over now.
        let _ = self.ask.try_send(());
    }
}

/// rdkafka's own flush asks for no time at all, again and again, and so ends no wait.
#[allow(unsafe_code, reason = "the client's pointer is valid for as long as the client is borrowed")]
fn flush(producer: &ThreadedProducer<Context>) {
    // Whether all was acknowledged in that time is of no interest: acknowledgements come by themselves.
    let _ = unsafe { rd_kafka_flush(producer.client().native_ptr(), LONGEST) };
}
