//! What a client still sends of a request that is answered already, because it was refused by its head or its length: it is told
//! that the connection ends, and what it sends is taken for a while, since it would else lose the answer to a reset
//! (RFC 9112, 9.6).

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use hyper::{
    Request,
    body::{Body as _, Bytes, Frame, Incoming, SizeHint},
    header::EXPECT,
};
use tokio::{runtime::Handle, time::timeout};

/// Whether the last request of a connection has a body that was not read to its end.
#[derive(Clone, Default)]
pub(super) struct Unread(Arc<AtomicBool>);

impl Unread {
    /// The request with a body that is watched, and what is left of it when nobody wants it any more taken for so long.
    pub(super) fn watch(&self, request: Request<Incoming>, limit: Duration) -> Request<Body> {
        self.0.store(!request.body().is_end_stream(), Ordering::Relaxed);
        // Who asks first does not send what is not wanted.
        let limit = (!request.headers().contains_key(EXPECT)).then_some(limit);
        request.map(|body| match body.is_end_stream() {
            true => Body::empty(),
            false => Body::new(Taken { body: Some(body), unread: self.clone(), limit }),
        })
    }

    /// Whether it has: the connection ends with the answer then.
    pub(super) fn is_left(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A body that is taken to its end, also where nobody wants it any more.
struct Taken {
    /// None once it was read to its end.
    body: Option<Incoming>,
    unread: Unread,
    limit: Option<Duration>,
}

impl hyper::body::Body for Taken {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(&mut *body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) || body.is_end_stream() {
            self.body = None;
            self.unread.0.store(false, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), hyper::body::Body::size_hint)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let (Some(mut body), Some(limit), Ok(runtime)) = (self.body.take(), self.limit, Handle::try_current()) else {
            return;
        };
        runtime.spawn(timeout(limit, async move {
            while let Some(Ok(_)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {}
        }));
    }
}
