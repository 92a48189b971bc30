//! Connections: taken, bounded in number and in the time that a header may take or an answer stand still, and drained at the end.
//! One that is upgraded to another protocol is its handler's from then on: neither counted nor drained here.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, serve::Listener};
use hyper::{
    Request, Response,
    header::{CONNECTION, HeaderValue},
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{stall::Watched, unread::Unread};
use crate::shutdown;

/// What clients may take of a server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long until a request's whole header is there, from the connection's start or the last answer on: a connection that
    /// is kept and not used ends then, too. As long is taken what a client still sends of a request that is answered.
    pub header: Duration,
    /// How long a client may take nothing of an answer that is on its way.
    pub stall: Duration,
    /// Connections open at once, but for those of [`Lasting`] responses. Those beyond wait in the listener's queue until one
    /// of these has ended.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { header: Duration::from_secs(10), stall: Duration::from_secs(10), connections: 1024 }
    }
}

/// Marks a response, as one of its extensions, that goes on for long and of which there is a limit elsewhere: its connection leaves
/// its place to another, and ends with it.
#[derive(Clone, Copy, Debug)]
pub struct Lasting;

/// Serves until the token is cancelled, then lets running requests end, for at most [`shutdown::GRACE`].
///
/// A client that sends no whole header within 10 s, or takes nothing of its answer for as long, is dropped. At most 1,024
/// connections are open at once; more wait.
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
    S: Service<Request<Body>, Response = Response<Body>, Error: std::error::Error + Send + Sync, Future: Send>
        + Clone
        + Send
        + 'static,
{
    serve_within(Limits::default(), listener, service, shutdown).await
}

/// As [`serve_with`], within other limits.
///
/// # Errors
/// When the listener fails.
pub async fn serve_within<S>(
    limits: Limits,
    listener: TcpListener,
    service: S,
    shutdown: CancellationToken,
) -> std::io::Result<()>
where
    S: Service<Request<Body>, Response = Response<Body>, Error: std::error::Error + Send + Sync, Future: Send>
        + Clone
        + Send
        + 'static,
{
    listener.local_addr()?;
    let server = run(limits, listener, service, shutdown.clone());
    shutdown::within_grace(server, &shutdown, shutdown::GRACE).await;
    Ok(())
}

async fn run<S>(limits: Limits, mut listener: TcpListener, service: S, shutdown: CancellationToken)
where
    S: Service<Request<Body>, Response = Response<Body>, Error: std::error::Error + Send + Sync, Future: Send>
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
        let is_released = Arc::new(AtomicBool::new(false));
        let stream = TokioIo::new(Watched::new(stream, limits.stall, Arc::clone(&is_released)));
        let place = Arc::new(Mutex::new(Some(place)));
        let (service, lasting, unread) = (service.clone(), Arc::clone(&place), Unread::default());
        let answers = service_fn(move |request| {
            let answered = service.call(unread.watch(request, limits.header));
            let (lasting, unread) = (Arc::clone(&lasting), unread.clone());
            async move {
                let mut response = answered.await?;
                let is_lasting = response.extensions().get::<Lasting>().is_some();
                if is_lasting {
                    drop(lasting.lock().unwrap_or_else(PoisonError::into_inner).take());
                }
                // Another request would be without a place, or behind what is left of this one.
                if is_lasting || unread.is_left() {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, S::Error>(response)
            }
        });
        let connection = builder.serve_connection(stream, answers).with_upgrades();
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
            is_released.store(true, Ordering::Relaxed);
            drop(place);
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::{
        BoxError, Extension,
        http::StatusCode,
        routing::{self, get},
    };
    use futures::{StreamExt, stream};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        sync::{Barrier, Notify},
        task::JoinHandle,
        time::timeout,
    };

    use super::*;

    const LONG: Duration = Duration::from_secs(30);
    const PATIENT: Limits = Limits { header: LONG, stall: LONG, connections: 8 };

    struct Server {
        address: std::net::SocketAddr,
        shutdown: CancellationToken,
        task: JoinHandle<()>,
    }

    async fn start(limits: Limits, router: Router) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let task = tokio::spawn(run(limits, listener, TowerToHyperService::new(router), shutdown.clone()));
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
        let limits = Limits { header: Duration::from_millis(50), connections: 1, ..PATIENT };
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
        let limits = Limits { header: Duration::from_millis(20), connections: 2, ..PATIENT };
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
        let limits = Limits { connections: 2, ..PATIENT };
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

    /// An answer without an end, and what is dropped with it.
    fn endless(dropped: Arc<Notify>) -> Body {
        struct Told(Arc<Notify>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.notify_one();
            }
        }
        let told = Told(dropped);
        Body::from_stream(stream::repeat_with(move || {
            let _ = &told;
            Ok::<_, std::convert::Infallible>(vec![b'x'; 64 * 1024])
        }))
    }

    #[tokio::test]
    async fn who_takes_nothing_of_an_answer_is_left() {
        let limits = Limits { stall: Duration::from_millis(50), ..PATIENT };
        let dropped = Arc::new(Notify::new());
        let answered = Arc::clone(&dropped);
        let server = start(limits, Router::new().route("/", get(|| async { endless(answered) }))).await;
        let _stalled = server.send(REQUEST).await;
        timeout(LONG, dropped.notified()).await.expect("its answer is dropped");
    }

    #[tokio::test]
    async fn a_lasting_answer_leaves_its_place_to_others_and_ends_its_connection() {
        let limits = Limits { connections: 1, ..PATIENT };
        let lasting =
            || async { (Extension(Lasting), Body::from_stream(stream::pending::<Result<Vec<u8>, BoxError>>())) };
        let brief = || async { (Extension(Lasting), "brief") };
        let router = Router::new().route("/lasting", get(lasting)).route("/brief", get(brief));
        let server = start(limits, router.route("/", get(|| async { "well" }))).await;
        let mut lasting = Vec::new();
        for _ in 0..5 {
            lasting.push(server.send("GET /lasting HTTP/1.1\r\nhost: a\r\n\r\n").await);
            // It has begun, and goes on.
            timeout(LONG, lasting.last_mut().unwrap().read_exact(&mut [0; 15])).await.unwrap().unwrap();
            assert!(rest(server.send(REQUEST).await).await.ends_with("well"));
        }
        let twice = "GET /brief HTTP/1.1\r\nhost: a\r\n\r\n".repeat(2);
        assert_eq!(rest(server.send(&twice).await).await.matches("200 OK").count(), 1);
    }

    /// A POST of a body this long.
    fn post(path: &str, length: usize) -> String {
        format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n")
    }

    #[tokio::test]
    async fn who_is_refused_unread_has_the_answer_also_once_all_is_sent_and_knows_that_the_connection_ends() {
        let refuse = || async { StatusCode::PAYLOAD_TOO_LARGE };
        let some = |body: Body| async move {
            let first = body.into_data_stream().next().await;
            (StatusCode::PAYLOAD_TOO_LARGE, first.unwrap().unwrap())
        };
        let server =
            start(PATIENT, Router::new().route("/", routing::post(refuse)).route("/some", routing::post(some))).await;
        for path in ["/", "/some"] {
            // More than the buffers between the two hold.
            let body = vec![b'x'; 16 * 1024 * 1024];
            let mut client = server.send(&post(path, body.len())).await;
            let mut answer = String::new();
            let sent = timeout(LONG, async {
                client.write_all(&body).await?;
                client.read_to_string(&mut answer).await
            });
            sent.await.expect("what is sent is taken").unwrap();
            assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("connection: close"), "{answer}");
        }
    }

    #[tokio::test]
    async fn what_is_read_or_was_never_sent_ends_no_connection() {
        let read = |body: String| async move { body };
        let refuse = || async { StatusCode::PAYLOAD_TOO_LARGE };
        let server = start(PATIENT, Router::new().route("/", routing::post(read).get(refuse))).await;
        let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        let all = [
            &post("/", 4),
            "well",
            &post("/", 0),
            get,
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nas\r\n0\r\n\r\n",
            REQUEST,
        ]
        .concat();
        let answers = rest(server.send(&all).await).await;
        assert_eq!(
            (answers.matches("HTTP/1.1").count(), answers.matches("connection: close").count()),
            (5, 1),
            "{answers}"
        );
    }

    #[tokio::test]
    async fn who_asks_whether_to_send_is_not_told_to_where_nobody_reads() {
        let server = start(PATIENT, Router::new().route("/", routing::post(|| async { "refused" }))).await;
        let asks = post("/", 4).replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n");
        let answer = rest(server.send(&asks).await).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    }

    #[tokio::test]
    async fn what_is_never_sent_of_a_body_holds_a_connection_for_a_while_only() {
        let limits = Limits { header: Duration::from_millis(50), ..PATIENT };
        let server = start(limits, Router::new().route("/", routing::post(|| async { "refused" }))).await;
        assert!(rest(server.send(&post("/", 4)).await).await.ends_with("refused"));
    }

    #[tokio::test]
    async fn at_the_end_running_requests_are_answered_and_idle_connections_closed() {
        let (begun, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (arrived, go) = (Arc::clone(&begun), Arc::clone(&release));
        let handler = move || async move {
            arrived.notify_one();
            go.notified().await;
            "done"
        };
        let server = start(PATIENT, Router::new().route("/", get(handler))).await;
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
