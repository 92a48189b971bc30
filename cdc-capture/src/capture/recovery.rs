//! What a topic holds already when a stream starts, and whether that may be relied on.

use crate::{
    publisher::{Found, Start, TopicState},
    settings::OtherHistory,
};

/// How a stream takes up what an earlier one has left.
pub(super) struct Recovery {
    /// Where the stream starts; `None` when topics are not read back.
    pub(super) start: Option<Start>,
    pub(super) other_history: OtherHistory,
}

impl Recovery {
    /// Whether a topic that is there can be written to.
    pub(super) fn judge(&self, topic: &str, found: Found) -> TopicState {
        let (Some((system, timeline)), Some(start)) = (found.other_history(), &self.start) else {
            return TopicState::There(found);
        };
        let ours = &start.server;
        match self.other_history {
            OtherHistory::Compare => {
                tracing::warn!(
                    topic,
                    system,
                    timeline,
                    now = ours.system,
                    now_timeline = ours.timeline,
                    "the topic holds events of another server or timeline: those are compared by their ids"
                );
                TopicState::There(found)
            }
            OtherHistory::Halt => TopicState::Unknown(format!(
                "halted: it holds events of another server or timeline ({system}:{timeline}, now {}:{}): find out what is \
                 missing or doubled, then start with --other-history compare",
                ours.system, ours.timeline
            )),
        }
    }
}
