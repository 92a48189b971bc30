//! A client that takes nothing of what is written to it: writing fails once it has stood still for too long. Without that, a
//! response which goes on would never find out, since it is not asked for more while there is no room.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// A stream, watched when it is written to.
pub(super) struct Watched<S> {
    stream: S,
    limit: Duration,
    /// Set once somebody else watches it.
    is_released: Arc<AtomicBool>,
    /// Since it has stood still.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    /// Lets it stand still for this time.
    pub(super) fn new(stream: S, limit: Duration, is_released: Arc<AtomicBool>) -> Self {
        Self { stream, limit, is_released, timer: None }
    }

    fn watch(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() || self.is_released.load(Ordering::Relaxed) {
            self.timer = None;
            return written;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.limit)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not take what is sent to it")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn whatever_is_taken_begins_the_time_anew() {
        let (ours, mut theirs) = duplex(4);
        let mut watched = Watched::new(ours, LIMIT, Arc::default());
        watched.write_all(&[0; 4]).await.unwrap();
        assert!(futures::poll!(std::pin::pin!(watched.write(&[0]))).is_pending() && watched.timer.is_some());
        theirs.read_exact(&mut [0]).await.unwrap();
        assert!(watched.write(&[0]).await.is_ok() && watched.timer.is_none());
    }

    #[tokio::test]
    async fn who_takes_nothing_is_left_unless_somebody_else_watches() {
        for is_released in [false, true] {
            let (ours, _theirs) = duplex(4);
            let mut watched = Watched::new(ours, LIMIT, Arc::new(is_released.into()));
            let written = tokio::time::timeout(LIMIT * 5, watched.write_all(&[0; 40])).await;
            let left = written.ok().map(|written| written.unwrap_err().kind());
            assert_eq!(left, (!is_released).then_some(io::ErrorKind::TimedOut));
        }
    }
}
