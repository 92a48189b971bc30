//! A thread with a runtime of its own, of one thread.
//!
//! A query is a little work in many steps: a request is read, a statement is sent, its row is written as the answer. On one thread no
//! step has to wake another core, and what is ready is done before the next is looked for, so that the statements of several
//! requests leave together. That is worth more than a second core: see `bench/README.md`.

use std::{io, thread};

use tokio::{runtime, sync::oneshot};

/// Runs what `make` makes, there, to its end.
///
/// # Errors
/// When the thread cannot be had, or when it has panicked.
pub(super) async fn run<F, T>(name: &str, make: impl FnOnce() -> F + Send + 'static) -> io::Result<T>
where
    F: Future<Output = T>,
    T: Send + 'static,
{
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let (done, result) = oneshot::channel();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        let result = runtime.block_on(make());
        // What has not ended in its time is left.
        runtime.shutdown_background();
        // Nobody waits any longer where the whole service was given up.
        let _ = done.send(result);
    })?;
    result.await.map_err(|_| io::Error::other(format!("the thread {name} has panicked")))
}
