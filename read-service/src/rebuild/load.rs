//! The runs into the table, in one transaction: a COPY of frozen rows, then the indexes.

use std::{io, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use chrono::Utc;
use deadpool_postgres::Object;
use futures::{SinkExt, pin_mut};
use tokio::sync::mpsc;

use super::{Error, merge::Merge, progress::Progress, runs::Runs, table::Tables};
use crate::projection::Anew;

/// What a binary COPY begins with: its signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
const TRAILER: i16 = -1;
/// Sent in pieces of this size.
const PIECE: usize = 256 << 10;

/// Rows in the form of a binary COPY, and how many they are.
type Piece = io::Result<(Bytes, u64)>;

/// Copies what the runs hold into the empty table and makes its indexes. Gives how many rows there are.
pub(super) async fn load(
    client: &mut Object,
    tables: &Tables,
    of: &Anew,
    runs: &Runs,
    progress: &mut Progress,
) -> Result<u64, Error> {
    let transaction = client.transaction().await?;
    // What this has committed is all that is left: the runs are removed.
    transaction.batch_execute("SET LOCAL synchronous_commit = on").await?;
    tables.truncate(&transaction).await?;
    let merge = runs.merge().map_err(Error::Runs)?;
    let columns = of.columns.len();
    let (send, mut pieces) = mpsc::channel::<Piece>(4);
    let reading = tokio::task::spawn_blocking(move || {
        if let Err(error) = copy(merge, columns, &send) {
            // Who receives is gone when the load was given up.
            let _ = send.blocking_send(Err(error));
        }
    });
    let sink = transaction.copy_in::<_, Bytes>(&tables.copy(of.columns.iter().map(|(name, _)| *name))).await?;
    pin_mut!(sink);
    let mut rows = 0;
    while let Some(piece) = pieces.recv().await {
        let (bytes, more) = piece.map_err(Error::Runs)?;
        sink.send(bytes).await?;
        rows += more;
        progress.at(rows, runs.rows());
    }
    reading.await.map_err(|error| Error::Runs(io::Error::other(error)))?;
    sink.finish().await?;
    progress.begin("making its indexes", "");
    tables.index(&transaction).await?;
    tables.analyze(&transaction).await?;
    transaction.commit().await?;
    Ok(rows)
}

/// Passes all rows on, each with the time as `applied_at`.
fn copy(mut merge: Merge, columns: usize, send: &mpsc::Sender<Piece>) -> io::Result<()> {
    /// From 1970 to 2000, from which PostgreSQL counts.
    const TO_2000: Duration = Duration::from_secs(946_684_800);
    let fields = i16::try_from(columns + 1).map_err(io::Error::other)?;
    let since_2000 = Utc::now().timestamp_micros() - i64::try_from(TO_2000.as_micros()).map_err(io::Error::other)?;
    let (mut piece, mut rows) = (BytesMut::with_capacity(PIECE + (64 << 10)), 0);
    piece.put_slice(HEADER);
    loop {
        let record = merge.next()?;
        if let Some(record) = &record {
            piece.put_i16(fields);
            piece.put_slice(&record.cells);
            piece.put_i32(8);
            piece.put_i64(since_2000);
            rows += 1;
        } else {
            piece.put_i16(TRAILER);
        }
        if record.is_none() || piece.len() >= PIECE {
            let bytes = piece.split().freeze();
            piece.reserve(PIECE + (64 << 10));
            if send.blocking_send(Ok((bytes, std::mem::take(&mut rows)))).is_err() || record.is_none() {
                return Ok(());
            }
        }
    }
}
