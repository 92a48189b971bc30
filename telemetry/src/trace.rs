//! W3C trace context in and out of spans.

use std::collections::HashMap;

use contracts::envelope::TraceContext;
use opentelemetry::{propagation::TextMapPropagator, trace::TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The trace context of the current span, to be stored or sent along. Empty when [`crate::logs::init`] was not called.
pub fn current() -> TraceContext {
    of(&Span::current())
}

/// The trace context of a span.
pub fn of(span: &Span) -> TraceContext {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
    let mut take = |name| carrier.remove(name).filter(|value| !value.is_empty());
    TraceContext { traceparent: take("traceparent"), tracestate: take("tracestate") }
}

/// Makes `span` a child of the span that `context` names; does nothing when it names none.
pub fn continue_from(span: &Span, context: &TraceContext) {
    if let Some(parent) = extract(context) {
        // Fails only for a span that is disabled or has been entered already: nothing to continue then.
        let _ = span.set_parent(parent);
    }
}

/// Links `span` to the span that `context` names, as batches do with what they hold.
pub fn link(span: &Span, context: &TraceContext) {
    if let Some(linked) = extract(context) {
        span.add_link(linked.span().span_context().clone());
    }
}

fn extract(context: &TraceContext) -> Option<opentelemetry::Context> {
    let mut carrier = HashMap::from([("traceparent".to_owned(), context.traceparent.clone()?)]);
    carrier.extend(context.tracestate.clone().map(|state| ("tracestate".to_owned(), state)));
    let extracted = TraceContextPropagator::new().extract_with_context(&opentelemetry::Context::new(), &carrier);
    extracted.span().span_context().is_valid().then_some(extracted)
}
