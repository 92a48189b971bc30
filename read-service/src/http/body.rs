//! Reading a request's body within bounds of size and time.

use std::time::Duration;

use axum::{body::Body, http::StatusCode};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use super::request::Refusal;
use crate::graphql::Code;

/// The largest body that is read.
const MAX: usize = 1024 * 1024;
/// How much of a larger one is thrown away before it is refused: a client that is still sending does not see the answer.
const MAX_DISCARDED: usize = 32 * 1024 * 1024;
/// How long it may take to come in.
const TIME: Duration = Duration::from_secs(10);

pub(super) async fn read(body: Body) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(TIME, collect(body)).await {
        Ok(read) => read,
        Err(_) => {
            let message = format!("the body did not come in within {} seconds", TIME.as_secs());
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, Code::Timeout, message))
        }
    }
}

async fn collect(body: Body) -> Result<Bytes, Refusal> {
    let mut chunks = body.into_data_stream();
    let (mut kept, mut length) = (BytesMut::new(), 0_usize);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| Refusal::bad(format!("the body cannot be read: {error}")))?;
        length += chunk.len();
        if length <= MAX {
            kept.extend_from_slice(&chunk);
        } else if length > MAX_DISCARDED {
            break;
        }
    }
    if length > MAX {
        let message = format!("the body has more than {MAX} bytes");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, Code::BadRequest, message));
    }
    Ok(kept.freeze())
}
