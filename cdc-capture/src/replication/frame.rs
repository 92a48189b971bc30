//! What travels inside CopyData while a slot is streamed. Pure: bytes to frames, statuses to bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use contracts::envelope::Lsn;

/// What the server sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A piece of the log: one message of the output plugin.
    Data(Bytes),
    /// How far the server is; everything before `wal_end` that concerns us has been sent.
    Keepalive {
        /// The end of the log that the server has read.
        wal_end: Lsn,
        /// Whether it wants a status at once.
        reply_wanted: bool,
    },
}

/// The bytes are neither.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length} bytes that starts with {first:?}")]
pub struct MalformedFrame {
    length: usize,
    first: Option<u8>,
}

const DATA_HEADER: usize = 1 + 8 + 8 + 8;
const KEEPALIVE: usize = 1 + 8 + 8 + 1;

impl Frame {
    /// Reads a frame, and with data the end of the log as far as the server knew it.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn read(mut bytes: Bytes) -> Result<(Self, Lsn), MalformedFrame> {
        match bytes.first() {
            Some(b'w') if bytes.len() >= DATA_HEADER => {
                bytes.advance(1 + 8);
                let wal_end = Lsn(bytes.get_u64());
                bytes.advance(8);
                Ok((Self::Data(bytes), wal_end))
            }
            Some(b'k') if bytes.len() == KEEPALIVE => {
                bytes.advance(1);
                let wal_end = Lsn(bytes.get_u64());
                bytes.advance(8);
                Ok((Self::Keepalive { wal_end, reply_wanted: bytes.get_u8() != 0 }, wal_end))
            }
            first => Err(MalformedFrame { length: bytes.len(), first: first.copied() }),
        }
    }
}

/// A standby status update: everything before `confirmed` is safe elsewhere. Written, flushed and applied are one here,
/// since the relay keeps nothing itself.
pub(super) fn status(confirmed: Lsn, postgres_micros: i64, reply_wanted: bool) -> Bytes {
    let mut out = BytesMut::with_capacity(1 + 4 * 8 + 1);
    out.put_u8(b'r');
    for _ in ["written", "flushed", "applied"] {
        out.put_u64(confirmed.0);
    }
    out.put_i64(postgres_micros);
    out.put_u8(u8::from(reply_wanted));
    out.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data(wal_end: u64, body: &[u8]) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(b'w');
        out.put_u64(1);
        out.put_u64(wal_end);
        out.put_i64(2);
        out.put_slice(body);
        out.freeze()
    }

    proptest! {
        #[test]
        fn reads_data(wal_end: u64, body in prop::collection::vec(any::<u8>(), 0..50)) {
            let read = Frame::read(data(wal_end, &body)).unwrap();
            prop_assert_eq!(read, (Frame::Data(body.into()), Lsn(wal_end)));
        }

        #[test]
        fn never_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            let _ = Frame::read(bytes.into());
        }
    }

    #[test]
    fn reads_a_keepalive() {
        let mut out = BytesMut::new();
        out.put_u8(b'k');
        out.put_u64(7);
        out.put_i64(0);
        out.put_u8(1);
        let read = Frame::read(out.freeze()).unwrap();
        assert_eq!(read, (Frame::Keepalive { wal_end: Lsn(7), reply_wanted: true }, Lsn(7)));
    }

    #[test]
    fn a_status_names_only_the_confirmed_position() {
        let bytes = status(Lsn(0x0102), 3, true);
        let position = [0, 0, 0, 0, 0, 0, 1, 2];
        let expected = [&[b'r'][..], &position, &position, &position, &[0, 0, 0, 0, 0, 0, 0, 3, 1]].concat();
        assert_eq!(bytes, expected);
    }
}
