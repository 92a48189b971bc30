//! All routes, and what holds for every one of them: a trace, a time limit, and problem details whatever goes wrong.

use std::{any::Any, sync::Arc, time::Duration};

use auth::Auth;
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{Method, StatusCode, Uri},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    access::{self, Access},
    body,
    context::Context,
    openapi,
    problem::Problem,
    shell::Shell,
};

/// How long a request may take.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The routes of these contexts, each below its name, beside the operator's.
pub(crate) fn compose(
    contexts: impl IntoIterator<Item = (&'static Context, Shell)>,
    auth: Option<&Arc<Auth>>,
    operators: Router,
) -> Router {
    let mut router = operators;
    let mut operations = Vec::new();
    for (context, shell) in contexts {
        let shell = Arc::new(shell);
        for operation in (context.routes)().operations {
            let mut handler = operation.handler.clone().with_state(shell.clone());
            if let Some(auth) = auth {
                let access = Access { auth: auth.clone(), context: context.name };
                handler = handler.route_layer(middleware::from_fn_with_state(access, access::guard));
            }
            router = router.route(&format!("/{}{}", context.name, operation.path), handler);
            operations.push((context, operation));
        }
    }
    finish(router.merge(openapi::routes(&operations, auth.is_some())))
}

fn finish(router: Router) -> Router {
    router
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(body::LIMIT))
        .layer(middleware::from_fn(limit_time))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(telemetry::http::trace))
}

async fn nothing_here(uri: Uri) -> Problem {
    Problem::not_found(format!("There is nothing at {}.", uri.path()))
}

async fn wrong_method(method: Method) -> Problem {
    let detail = format!("{method} is not possible here; the header Allow says what is.");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", detail)
}

async fn limit_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(TIME_LIMIT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            Problem::unavailable("The request took too long. Whether it had an effect, a GET tells.").into_response()
        }
    }
}

// The message of a panic can hold anything: it stays out of the answer, and the panic hook has printed it.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request panicked");
    Problem::internal().into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_panic_is_answered_with_problem_details_that_do_not_repeat_it() {
        async fn panics() -> StatusCode {
            panic!("a secret")
        }
        let router = finish(Router::new().route("/", get(panics)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = async { axum::serve(listener, router).await.unwrap() };
        let response = tokio::select! {
            () = server => unreachable!(),
            response = reqwest::get(url) => response.unwrap(),
        };
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}
