//! W3C trace context in and out of spans.

use contracts::envelope::{TraceContext, names};
use opentelemetry::{
    propagation::{Extractor, Injector, TextMapPropagator},
    trace::TraceContextExt,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The trace context of the current span, to be stored or sent along. Empty when [`crate::logs::init`] was not called.
pub fn current() -> TraceContext {
    of(&Span::current())
}

/// The trace context of a span.
pub fn of(span: &Span) -> TraceContext {
    let mut carrier = Carrier(TraceContext::default());
    TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
    carrier.0
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
    context.traceparent.as_ref()?;
    let carrier = Carrier(context.clone());
    let extracted = TraceContextPropagator::new().extract_with_context(&opentelemetry::Context::new(), &carrier);
    extracted.span().span_context().is_valid().then_some(extracted)
}

/// What the propagator reads and writes by the headers' names.
struct Carrier(TraceContext);

impl Injector for Carrier {
    fn set(&mut self, name: &str, value: String) {
        let value = Some(value).filter(|value| !value.is_empty());
        match name {
            names::TRACEPARENT => self.0.traceparent = value,
            names::TRACESTATE => self.0.tracestate = value,
            _ => {}
        }
    }
}

impl Extractor for Carrier {
    fn get(&self, name: &str) -> Option<&str> {
        match name {
            names::TRACEPARENT => self.0.traceparent.as_deref(),
            names::TRACESTATE => self.0.tracestate.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec![names::TRACEPARENT, names::TRACESTATE]
    }
}
