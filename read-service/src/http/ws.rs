//! GraphQL over a websocket, by the protocol graphql-transport-ws
//! (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>): subscriptions, and queries too.
//!
//! One task serves a connection. What its subscriptions tell is fetched one by one, as fast as the client takes it, so that a client
//! that is slow costs no memory; one that stands still is left.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{
        FromRequestParts, Request,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade},
    },
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use futures::{
    StreamExt,
    stream::{AbortHandle, Abortable, BoxStream, SelectAll},
};
use serde::Deserialize;
use tokio::time::{Instant, interval, sleep_until, timeout};
use tokio_tungstenite::tungstenite;

use super::{
    Access, Served,
    accept::Media,
    object::Object,
    operation::{self, Output},
    request::{Parameters, Refusal},
    response,
};
use crate::graphql::Code;

const PROTOCOL: &str = "graphql-transport-ws";
/// How many operations a connection may have at once.
const MOST_OPERATIONS: usize = 100;
/// The longest message that is read, in bytes.
const LONGEST_MESSAGE: usize = 256 * 1024;
/// The longest id of an operation, in bytes.
const LONGEST_ID: usize = 128;
/// Read and written at once, in bytes: many connections have little to say.
const BUFFER: usize = 4 * 1024;
/// How often a client is asked whether it is still there. It is gone when it has not answered by the next time.
const PING: Duration = Duration::from_secs(30);
/// How long a client may take to close when it is told to.
const HANG_UP: Duration = Duration::from_secs(1);

/// Whether a request wants a websocket.
pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Opens a websocket, or says why not.
pub(super) async fn upgrade(served: Arc<Served>, request: Request) -> Response {
    let refuse = |refusal| response::refusal(Media::Json, refusal);
    let (mut parts, _) = request.into_parts();
    if !is_welcome(&parts.headers, &served.subscribers.options.origins) {
        let message = "this origin may not open a websocket here: see --websocket-origins";
        return refuse(Refusal::new(StatusCode::FORBIDDEN, Code::Forbidden, message));
    }
    // A browser cannot set the header: it says later who asks.
    let access = match served.access(&parts.headers).await {
        Ok(access) => Some(access),
        Err(_) if !parts.headers.contains_key(header::AUTHORIZATION) => None,
        Err(denied) => return refuse(denied.into()),
    };
    let Some(place) = served.subscribers.place() else { return refuse(Refusal::no_place()) };
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let tracked = served.subscribers.tasks.token();
    upgrade
        .protocols([PROTOCOL])
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_message_size(LONGEST_MESSAGE)
        .max_frame_size(LONGEST_MESSAGE)
        .on_upgrade(async move |socket| {
            Session::new(served, socket, access).run().await;
            drop((place, tracked));
        })
}

/// A page may open a websocket to where it comes from, and other programs do not say where they come from.
fn is_welcome(headers: &HeaderMap, others: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let authority = origin.parse::<Uri>().ok().and_then(|origin| origin.authority().map(ToString::to_string));
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    authority.is_some_and(|authority| host.is_some_and(|host| host.eq_ignore_ascii_case(authority.as_bytes())))
        || others.iter().any(|other| other == origin)
}

/// What a client says.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
    ConnectionInit {
        #[serde(default)]
        payload: Option<Object<Init>>,
    },
    Ping {},
    Pong {},
    Subscribe {
        id: String,
        payload: Object<Parameters>,
    },
    Complete {
        id: String,
    },
}

/// What a client says of itself.
#[derive(Default, Deserialize)]
struct Init {
    /// As the header of this name: `Bearer …`.
    #[serde(default, alias = "Authorization")]
    authorization: Option<String>,
}

/// The service is going away, or the client has gone.
const GOING_AWAY: u16 = 1001;
/// The client may come again. The protocol has no code for that, and its clients come again by this one.
const TRY_AGAIN_LATER: u16 = 1013;

/// Why a connection is closed.
type End = (u16, String);

fn end<T>(code: u16, reason: impl Into<String>) -> Result<T, End> {
    Err((code, reason.into()))
}

/// The code for what cannot be read (RFC 6455, section 7.4.1).
fn code_of(error: &axum::Error) -> u16 {
    match std::error::Error::source(error).and_then(|error| error.downcast_ref()) {
        Some(tungstenite::Error::Utf8(_)) => 1007,
        Some(tungstenite::Error::Capacity(_)) => 1009,
        _ => 1002,
    }
}

struct Session {
    served: Arc<Served>,
    socket: WebSocket,
    access: Option<Access>,
    is_acknowledged: bool,
    /// When it ends unless something happens: nobody has said who asks, or the token expires.
    deadline: Option<Instant>,
    has_answered: bool,
    operations: HashMap<String, AbortHandle>,
    outputs: SelectAll<BoxStream<'static, (String, Output)>>,
}

impl Session {
    fn new(served: Arc<Served>, socket: WebSocket, access: Option<Access>) -> Self {
        let deadline = Some(Instant::now() + served.subscribers.options.init_timeout);
        let (operations, outputs) = (HashMap::new(), SelectAll::new());
        Self { served, socket, access, is_acknowledged: false, deadline, has_answered: true, operations, outputs }
    }

    async fn run(mut self) {
        let Err((code, mut reason)) = self.serve().await;
        // A close frame has no place for more.
        reason.truncate((0..=120).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or_default());
        let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        // It is told no more, and what it follows is not kept for it.
        (self.outputs, self.operations) = Default::default();
        // Behind what is on its way already: whoever was too slow may go on meanwhile. At the end there is no time for that.
        let patience = if code == GOING_AWAY { HANG_UP } else { self.served.subscribers.options.send_timeout };
        if let Ok(Ok(())) = timeout(patience, self.socket.send(close)).await {
            // Until the client has closed, too: what it still sends would make it lose the reason.
            let _ = timeout(HANG_UP, async { while let Some(Ok(_)) = self.socket.recv().await {} }).await;
        }
    }

    /// Serves until there is a reason not to.
    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        if self.socket.protocol().is_none() {
            return end(4406, format!("Subprotocol not acceptable: expected {PROTOCOL}"));
        }
        let mut pings = interval(PING);
        pings.tick().await;
        let shutdown = self.served.subscribers.shutdown.clone();
        loop {
            let (deadline, is_following) = (self.deadline, !self.outputs.is_empty());
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return end(GOING_AWAY, "the service is shutting down"),
                () = async { sleep_until(deadline.unwrap_or_else(Instant::now)).await }, if deadline.is_some() => {
                    return match self.is_acknowledged {
                        true => end(4403, "Forbidden: the token has expired"),
                        false => end(4408, "Connection initialisation timeout"),
                    };
                }
                _ = pings.tick() => {
                    if !std::mem::take(&mut self.has_answered) {
                        return end(GOING_AWAY, "the client does not answer");
                    }
                    self.send(Message::Ping(Bytes::new())).await?;
                }
                message = self.socket.recv() => match message {
                    Some(Ok(message)) => self.hear(message).await?,
                    Some(Err(error)) => return end(code_of(&error), error.to_string()),
                    None => return end(1000, ""),
                },
                Some((id, output)) = self.outputs.next(), if is_following => self.tell(id, output).await?,
            }
        }
    }

    async fn hear(&mut self, message: Message) -> Result<(), End> {
        self.has_answered = true;
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return end(4400, "Invalid message: expected text"),
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => return end(1000, ""),
        };
        match serde_json::from_str(&text) {
            Err(error) => end(4400, format!("Invalid message: {error}")),
            Ok(Object(Said::ConnectionInit { payload })) => self.acknowledge(payload.unwrap_or_default().0).await,
            Ok(Object(Said::Ping {})) => self.say(r#"{"type":"pong"}"#.into()).await,
            Ok(Object(Said::Pong {})) => Ok(()),
            Ok(Object(Said::Subscribe { id, payload: Object(parameters) })) => self.subscribe(id, parameters).await,
            Ok(Object(Said::Complete { id })) => {
                if let Some(operation) = self.operations.remove(&id) {
                    operation.abort();
                }
                Ok(())
            }
        }
    }

    /// Finds out who asks.
    async fn acknowledge(&mut self, init: Init) -> Result<(), End> {
        if self.is_acknowledged {
            return end(4429, "Too many initialisation requests");
        }
        if let Some(authorization) = init.authorization {
            let Ok(value) = HeaderValue::from_str(&authorization) else {
                return end(4403, "Forbidden: authorization is not ASCII");
            };
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
            self.access = match self.served.access(&headers).await {
                Ok(access) => Some(access),
                Err(auth::Denied::Unavailable) => {
                    return end(TRY_AGAIN_LATER, "tokens cannot be checked at the moment");
                }
                Err(denied) => return end(4403, format!("Forbidden: {denied}")),
            };
        }
        let Some(access) = self.access else {
            return end(4403, "Forbidden: a bearer token is required, as authorization in the payload");
        };
        self.is_acknowledged = true;
        self.deadline = access.expires;
        self.say(r#"{"type":"connection_ack"}"#.into()).await
    }

    async fn subscribe(&mut self, id: String, parameters: Parameters) -> Result<(), End> {
        let Some(access) = self.access.filter(|_| self.is_acknowledged) else { return end(4401, "Unauthorized") };
        if id.is_empty() || id.len() > LONGEST_ID {
            return end(4400, format!("Invalid message: id has to have 1 to {LONGEST_ID} bytes"));
        }
        if self.operations.contains_key(&id) {
            return end(4409, format!("Subscriber for {id} already exists"));
        }
        if self.operations.len() >= MOST_OPERATIONS {
            return end(4429, format!("Too many operations: at most {MOST_OPERATIONS} at once"));
        }
        let outputs = match parameters.operation(access.may_see_personal) {
            Ok(operation) => operation::start(&self.served, operation).await,
            Err(refusal) => operation::refused(refusal),
        };
        let (handle, registration) = AbortHandle::new_pair();
        let name = id.clone();
        let outputs = outputs.map(move |output| (name.clone(), output));
        self.outputs.push(Abortable::new(outputs, registration).boxed());
        self.operations.insert(id, handle);
        Ok(())
    }

    async fn tell(&mut self, id: String, output: Output) -> Result<(), End> {
        // What was called off may have been on its way.
        if !self.operations.contains_key(&id) {
            return Ok(());
        }
        let (ty, payload) = match &output {
            Output::Next(answer) => ("next", Some(answer)),
            Output::Failed(errors) => ("error", Some(errors)),
            Output::Complete => ("complete", None),
        };
        if !matches!(output, Output::Next(_))
            && let Some(operation) = self.operations.remove(&id)
        {
            operation.abort();
        }
        let mut text = format!("{{\"id\":{},\"type\":\"{ty}\"", serde_json::Value::String(id)).into_bytes();
        if let Some(payload) = payload {
            text.extend_from_slice(b",\"payload\":");
            text.extend_from_slice(payload);
        }
        text.push(b'}');
        match Utf8Bytes::try_from(text) {
            Ok(text) => self.say(text).await,
            Err(_) => end(1011, "an answer that is no text"),
        }
    }

    async fn say(&mut self, text: Utf8Bytes) -> Result<(), End> {
        self.send(Message::Text(text)).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(self.served.subscribers.options.send_timeout, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => end(code_of(&error), error.to_string()),
            Err(_) => {
                tracing::info!("a subscriber is left: it does not take what it is told");
                end(TRY_AGAIN_LATER, "Too slow: what was told has not been received")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_from_elsewhere_is_not_welcome_unless_it_is_named() {
        let welcome = |origin: &'static str| {
            let headers = [(header::HOST, "api.example.org"), (header::ORIGIN, origin)];
            let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
            is_welcome(&HeaderMap::from_iter(headers), &["https://console.example.org".to_owned()])
        };
        assert!(is_welcome(&HeaderMap::new(), &[]));
        for origin in ["https://api.example.org", "https://API.example.org", "https://console.example.org"] {
            assert!(welcome(origin), "{origin}");
        }
        for origin in ["null", "", "https://api.example.org:8443", "http://console.example.org", "https://evil.org"] {
            assert!(!welcome(origin), "{origin}");
        }
    }
}
