//! An operation whose answer comes in parts, whatever carries them: a subscription's go on, a query has one.

use bytes::Bytes;
use futures::{StreamExt, stream, stream::BoxStream};

use super::{Served, request::Refusal};
use crate::{
    graphql::{Answer, Code, Error, Operation, Request},
    live::{Subscription, Told},
};

/// A part.
#[derive(Clone, Debug)]
pub(super) enum Output {
    /// An answer, as JSON.
    Next(Bytes),
    /// Errors as a JSON list; nothing follows.
    Failed(Bytes),
    /// Nothing follows.
    Complete,
}

/// Starts an operation. Its last part is `Failed` or `Complete`.
pub(super) async fn start(served: &Served, operation: Operation) -> BoxStream<'static, Output> {
    match served.executor.subscription(operation).await {
        Err(errors) => {
            served.subscribers.begun(errors.first().map(|error| Code::of(error).unwrap_or(Code::Internal)));
            once(errors_of(&errors))
        }
        Ok(Request::Subscription(look)) => {
            let subscribed = served.subscribers.hub.subscribe(*look).await;
            served.subscribers.begun(subscribed.as_ref().err().map(|error| error.code));
            match subscribed {
                Ok(subscription) => told(subscription).boxed(),
                Err(error) => once(failed(error)),
            }
        }
        Ok(Request::Query(operation)) => {
            let executor = served.executor.clone();
            let answered = async move {
                match executor.execute(operation).await {
                    Answer::Executed(text, _) => [Some(Output::Next(text.into())), Some(Output::Complete)],
                    Answer::Refused(errors) => [Some(errors_of(&errors)), None],
                }
            };
            stream::once(answered).flat_map(|outputs| stream::iter(outputs.into_iter().flatten())).boxed()
        }
    }
}

/// What is no operation.
pub(super) fn refused(refusal: Refusal) -> BoxStream<'static, Output> {
    once(failed(Error::new(refusal.code, refusal.message)))
}

/// One error.
pub(super) fn failed(error: Error) -> Output {
    errors_of(&[error.into_server_error()])
}

fn errors_of(errors: &[async_graphql::ServerError]) -> Output {
    // Writing to memory does not fail.
    Output::Failed(serde_json::to_vec(errors).unwrap_or_default().into())
}

fn once(output: Output) -> BoxStream<'static, Output> {
    stream::once(std::future::ready(output)).boxed()
}

fn told(subscription: Subscription) -> impl futures::Stream<Item = Output> {
    stream::unfold(Some(subscription), async |subscription| {
        let mut subscription = subscription?;
        Some(match subscription.next().await {
            Some(Told::Next(answer)) => (Output::Next(answer), Some(subscription)),
            Some(Told::Failed(errors)) => (Output::Failed(errors), None),
            None => (Output::Complete, None),
        })
    })
}
