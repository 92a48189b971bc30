//! GraphQL as a stream of events, by the "distinct connections mode" of GraphQL over SSE
//! (<https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>): a request, and a response that goes on.
//!
//! A stream has a subscriber's place and leaves that of the listener. One whose client takes nothing is not asked for more, so it
//! is the listener that finds out.

use std::{convert::Infallible, time::Duration};

use axum::{
    http::{HeaderValue, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{StreamExt, stream};
use telemetry::http::Lasting;
use tokio::time::Instant;

use super::{
    Access, Served,
    accept::Media,
    operation::{self, Output},
    request::Refusal,
    response,
};
use crate::graphql::{Code, Error, Operation};

/// How often a comment is sent where there is nothing to tell.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The response that tells what an operation answers.
pub(super) async fn stream(served: &Served, access: Access, operation: Operation) -> Response {
    let Some(place) = served.subscribers.place() else {
        return response::refusal(Media::Json, Refusal::no_place());
    };
    let outputs = operation::start(served, operation).await.chain(stream::once(async { Output::Complete }));
    let shutdown = served.subscribers.shutdown.clone();
    let state = Some((Box::pin(outputs), place));
    let events = stream::unfold(state, move |state| {
        let shutdown = shutdown.clone();
        async move {
            let (mut outputs, place) = state?;
            let cut_off = async {
                tokio::select! {
                    () = shutdown.cancelled() => Error::new(Code::Unavailable, "the service is shutting down"),
                    () = expiry(access.expires) => Error::new(Code::Unauthenticated, "the token has expired"),
                }
            };
            tokio::select! {
                biased;
                error = cut_off => Some((vec![operation::failed(error), Output::Complete], None)),
                output = outputs.next() => match output? {
                    Output::Complete => Some((vec![Output::Complete], None)),
                    Output::Failed(errors) => Some((vec![Output::Failed(errors), Output::Complete], None)),
                    next @ Output::Next(_) => Some((vec![next], Some((outputs, place)))),
                },
            }
        }
    });
    let events = events.flat_map(stream::iter).map(|output| Ok::<_, Infallible>(event(&output)));
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    response.extensions_mut().insert(Lasting);
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

async fn expiry(expires: Option<Instant>) {
    match expires {
        Some(expires) => tokio::time::sleep_until(expires).await,
        None => std::future::pending().await,
    }
}

fn event(output: &Output) -> Event {
    let next = |data: &str| Event::default().event("next").data(data);
    match output {
        Output::Next(answer) => next(&String::from_utf8_lossy(answer)),
        Output::Failed(errors) => next(&format!("{{\"errors\":{}}}", String::from_utf8_lossy(errors))),
        Output::Complete => Event::default().event("complete").data(""),
    }
}
