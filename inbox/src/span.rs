//! `process` spans by the OpenTelemetry messaging conventions: one for each message of a sampled trace, as its child and
//! linked to it, ended when the message's transaction has.

use contracts::envelope::TraceContext;
use tracing::{Span, field};

use crate::{Delivery, topics::Topic};

/// Makes `process` spans, or none.
#[derive(Clone)]
pub(crate) struct Tracing {
    /// Whether spans are wanted at all.
    pub(crate) enabled: bool,
    /// The consumer group's name.
    pub(crate) group: String,
}

impl Tracing {
    /// The message's span, when its trace is sampled and spans are wanted.
    pub(crate) fn process(&self, delivery: &Delivery, topic: &Topic) -> Option<Span> {
        let envelope = &delivery.envelope;
        if !self.enabled || !is_sampled(&envelope.trace) {
            return None;
        }
        let span = tracing::info_span!(
            "process",
            otel.name = format!("process {}", topic.on_cluster),
            otel.kind = "consumer",
            otel.status_code = field::Empty,
            otel.status_description = field::Empty,
            messaging.system = "kafka",
            messaging.operation.name = "process",
            messaging.operation.type = "process",
            messaging.destination.name = topic.on_cluster,
            messaging.destination.partition.id = delivery.partition.to_string(),
            messaging.consumer.group.name = self.group,
            messaging.message.id = %envelope.id,
            messaging.kafka.message.key = envelope.subject,
            messaging.kafka.offset = delivery.offset,
            messaging.kafka.message.tombstone = field::Empty,
        );
        if delivery.document.is_none() {
            span.record("messaging.kafka.message.tombstone", true);
        }
        telemetry::trace::continue_from(&span, &envelope.trace);
        telemetry::trace::link(&span, &envelope.trace);
        Some(span)
    }
}

/// Whether the trace's sampled flag is set (the last bit of the last part of `traceparent`).
fn is_sampled(trace: &TraceContext) -> bool {
    let flags = trace.traceparent.as_deref().and_then(|parent| parent.split('-').nth(3));
    flags.and_then(|flags| u8::from_str_radix(flags, 16).ok()).is_some_and(|flags| flags & 1 == 1)
}

/// The spans of a batch's events, by the event's place in the batch. Dropping them ends them.
#[derive(Default)]
pub(crate) struct Spans(Vec<(usize, Span)>);

impl Spans {
    pub(crate) fn add(&mut self, event: usize, span: Span) {
        self.0.push((event, span));
    }

    /// The event is not applied, and why.
    pub(crate) fn fail(&self, event: usize, why: &str) {
        for (_, span) in self.0.iter().filter(|(of, _)| *of == event) {
            fail(span, why);
        }
    }

    /// None of the events is applied here: another instance may have, or they are read again.
    pub(crate) fn given_up(&self) {
        self.0.iter().for_each(|(_, span)| fail(span, "rolled back"));
    }
}

/// Marks a span as that of a failure.
pub(crate) fn fail(span: &Span, why: &str) {
    span.record("otel.status_code", "ERROR");
    span.record("otel.status_description", why);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::message;

    #[test]
    fn only_a_set_flag_means_sampled() {
        let sampled = |traceparent: &str| {
            is_sampled(&TraceContext { traceparent: Some(traceparent.to_owned()), tracestate: None })
        };
        assert!(sampled("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        assert!(sampled("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03"));
        assert!(!sampled("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"));
        for malformed in ["", "00", "00-a-b-", "00-a-b-zz"] {
            assert!(!sampled(malformed), "{malformed:?}");
        }
        assert!(!is_sampled(&TraceContext::default()));
    }

    #[test]
    fn a_sampled_messages_trace_goes_on_in_its_span() {
        let args = telemetry::logs::LogArgs {
            log_format: "text".to_owned(),
            log_filter: "off".to_owned(),
            otlp_endpoint: None,
        };
        let _guard = telemetry::logs::init("inbox", &args).unwrap();
        let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let topic = Topic { name: "a.v1".into(), on_cluster: "x.a.v1".into(), partitions: 4 };
        let tracing = Tracing { enabled: true, group: "service.handler".to_owned() };
        let delivery = |flags: &str| {
            let traceparent = format!("00-{trace}-{parent}-{flags}");
            message(&[("traceparent", &traceparent)]).read(&topic).unwrap()
        };
        let span = tracing.process(&delivery("01"), &topic).unwrap();
        let context = telemetry::trace::of(&span);
        assert_eq!(context.trace_id(), Some(trace));
        assert!(!context.traceparent.unwrap().contains(parent), "a span of its own");
        assert!(tracing.process(&delivery("00"), &topic).is_none(), "not sampled");
        let silent = Tracing { enabled: false, ..tracing };
        assert!(silent.process(&delivery("01"), &topic).is_none(), "nobody wants spans");
    }
}
