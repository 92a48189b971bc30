//! Connections: taken, bounded in number and in the time that a header may take, and drained at the end. One that is upgraded
//! to another protocol is its handler's from then on: neither counted nor drained here.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, serve::Listener};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::shutdown;

/// What clients may take of a server.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// How long until a request's whole header is there, from the connection's start or the last answer on: a connection that
    /// is kept and not used ends then, too.
    header: Duration,
    /// Connections open at once. Those beyond wait in the listener's queue until one of these has ended.
    connections: usize,
}

const LIMITS: Limits = Limits { header: Duration::from_secs(10), connections: 1024 };

/// Serves until the token is cancelled, then lets running requests end, for at most [`shutdown::GRACE`].
///
/// A client that sends no whole header within 10 s is dropped. At most 1,024 connections are open at once; more wait.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> std::io::Result<()> {
    // Routes are made ready once, not for each request.
    serve_with(listener, TowerToHyperService::new(router.with_state(())), shutdown).await
}

/// As [`serve`], for a service of any kind. Where it fails, the connection is closed without an answer.
///
/// # Errors
/// When the listener fails.
pub async fn serve_with<S>(listener: TcpListener, service: S, shutdown: CancellationToken) -> std::io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error: std::error::Error + Send + Sync, Future: Send>
        + Clone
        + Send
        + 'static,
{
    listener.local_addr()?;
    let server = serve_within(LIMITS, listener, service, shutdown.clone());
    shutdown::within_grace(server, &shutdown, shutdown::GRACE).await;
    Ok(())
}

async fn serve_within<S>(limits: Limits, mut listener: TcpListener, service: S, shutdown: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error: std::error::Error + Send + Sync, Future: Send>
        + Clone
        + Send
        + 'static,
{
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.header);
    let places = Arc::new(Semaphore::new(limits.connections));
    // Cut off with this function.
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            // Waits a while where there are no more file descriptors.
            (place, Listener::accept(&mut listener).await.0)
        };
        let (place, stream) = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            next = next => next,
        };
        let connection = builder.serve_connection(TokioIo::new(stream), service.clone()).with_upgrades();
        let shutdown = shutdown.clone();
        connections.spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection broke");
            }
            drop(place);
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        sync::{Barrier, Notify},
        task::JoinHandle,
        time::timeout,
    };

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    struct Server {
        address: std::net::SocketAddr,
        shutdown: CancellationToken,
        task: JoinHandle<()>,
    }

    async fn start(limits: Limits, router: Router) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let task = tokio::spawn(serve_within(limits, listener, TowerToHyperService::new(router), shutdown.clone()));
        Server { address, shutdown, task }
    }

    impl Server {
        async fn send(&self, bytes: &str) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(bytes.as_bytes()).await.unwrap();
            stream
        }
    }

    /// All that comes until the server closes the connection.
    async fn rest(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        // What was not read by the server may make this a reset.
        let _ = timeout(LONG, stream.read_to_end(&mut text)).await.expect("the server closes the connection");
        String::from_utf8(text).unwrap()
    }

    const REQUEST: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

    #[tokio::test]
    async fn who_sends_no_whole_header_in_time_is_dropped_and_others_are_answered() {
        let limits = Limits { header: Duration::from_millis(50), connections: 1 };
        let server = start(limits, Router::new().route("/", get(|| async { "well" }))).await;
        for begun in ["", "GET / HT", "GET / HTTP/1.1\r\nhost: a\r\n", "GET / HTTP/1.1\r\nhost: a\r\n\r\nGET"] {
            let slow = server.send(begun).await;
            // It has the only place.
            let answer = rest(server.send(REQUEST).await).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("well"), "{answer}");
            assert!(!rest(slow).await.contains("400"), "it is dropped, not scolded");
        }
    }

    #[tokio::test]
    async fn a_request_may_take_longer_than_its_header() {
        let limits = Limits { header: Duration::from_millis(20), connections: 2 };
        let (begun, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (arrived, go) = (Arc::clone(&begun), Arc::clone(&release));
        let handler = move || async move {
            arrived.notify_one();
            go.notified().await;
            "done"
        };
        let server = start(limits, Router::new().route("/", get(handler))).await;
        let long = server.send(REQUEST).await;
        begun.notified().await;
        // Long enough for another to be dropped meanwhile.
        assert_eq!(rest(server.send("GET").await).await, "");
        release.notify_one();
        assert!(rest(long).await.ends_with("done"));
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_wait_for_their_turn() {
        let limits = Limits { header: LONG, connections: 2 };
        let (running, most, both) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(2)));
        let seen = Arc::clone(&most);
        let handler = move || async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            both.wait().await;
            running.fetch_sub(1, Ordering::SeqCst);
            "done"
        };
        let server = start(limits, Router::new().route("/", get(handler))).await;
        let mut clients = Vec::new();
        for _ in 0..8 {
            clients.push(server.send(REQUEST).await);
        }
        for client in clients {
            assert!(rest(client).await.ends_with("done"));
        }
        assert_eq!(seen.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn at_the_end_running_requests_are_answered_and_idle_connections_closed() {
        let limits = Limits { header: LONG, connections: 8 };
        let (begun, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (arrived, go) = (Arc::clone(&begun), Arc::clone(&release));
        let handler = move || async move {
            arrived.notify_one();
            go.notified().await;
            "done"
        };
        let server = start(limits, Router::new().route("/", get(handler))).await;
        let idle = server.send("").await;
        let running = server.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        begun.notified().await;
        server.shutdown.cancel();
        assert_eq!(rest(idle).await, "");
        assert!(!server.task.is_finished() && TcpStream::connect(server.address).await.is_err());
        release.notify_one();
        assert!(rest(running).await.ends_with("done"));
        timeout(LONG, server.task).await.expect("it ends").unwrap();
    }
}
