//! One `send {topic}` CLIENT span for each event whose trace is sampled, from handing over to acknowledgement.
//!
//! The message itself keeps the trace context that its row has.

use std::collections::VecDeque;

use contracts::envelope::{TraceContext, names};
use tracing::Span;

use crate::outbox::Event;

/// The spans of events in flight, in the order of their numbers.
#[derive(Default)]
pub(super) struct SendSpans(VecDeque<(u64, Span)>);

impl SendSpans {
    pub(super) fn sent(&mut self, number: u64, span: Span) {
        self.0.push_back((number, span));
    }

    /// Ends the spans of all events below `upto`.
    pub(super) fn acknowledged(&mut self, upto: u64) {
        while self.0.front().is_some_and(|(number, _)| *number < upto) {
            self.0.pop_front();
        }
    }
}

/// The span of an event, when its trace is sampled.
pub(super) fn span_of(event: &Event<'_>) -> Option<Span> {
    let parent = std::str::from_utf8(event.headers.get(names::TRACEPARENT)?).ok()?;
    if !is_sampled(parent) {
        return None;
    }
    let state = event.headers.get(names::TRACESTATE).and_then(|state| std::str::from_utf8(state).ok());
    let span = tracing::info_span!(
        "send",
        otel.name = format!("send {}", event.topic),
        otel.kind = "client",
        messaging.system = "kafka",
        messaging.operation.name = "send",
        messaging.operation.type = "send",
        messaging.destination.name = event.topic,
        messaging.message.id = event.id,
        messaging.kafka.message.key = event.key,
        messaging.kafka.message.tombstone = event.payload.is_none().then_some(true),
    );
    let creation = TraceContext { traceparent: Some(parent.to_owned()), tracestate: state.map(str::to_owned) };
    telemetry::trace::continue_from(&span, &creation);
    telemetry::trace::link(&span, &creation);
    Some(span)
}

/// Whether the last field of a `traceparent`, the flags, has its first bit set.
fn is_sampled(traceparent: &str) -> bool {
    let flags = traceparent.split('-').nth(3).filter(|flags| flags.len() == 2);
    flags.and_then(|flags| u8::from_str_radix(flags, 16).ok()).is_some_and(|flags| flags & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_flag_decides() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-";
        assert!(is_sampled(&format!("{parent}01")));
        assert!(is_sampled(&format!("{parent}03")));
        for flags in ["00", "", "1", "zz", "001"] {
            assert!(!is_sampled(&format!("{parent}{flags}")), "{flags}");
        }
        assert!(!is_sampled(""));
    }
}
