//! How the processor behaves: well, or as badly as third parties do, for so many requests or until it is told otherwise.

use std::{num::NonZeroU32, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::fields::Invalid;

/// What is done to charges and refunds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Everything works.
    #[default]
    Normal,
    /// 503, and no entry.
    Fail,
    /// No answer and no entry, as long as the client waits.
    Hang,
    /// The entry is written at once and answered after the delay. Until then the key is under way: 409.
    Slow,
    /// Every new charge is declined.
    Decline,
    /// The entry is written; then the connection is closed without an answer.
    DropAfterCommit,
    /// The connection is closed without an answer and without an entry.
    DropBeforeCommit,
}

/// The body of `PUT` and `GET /v1/behaviour`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Behaviour {
    /// What is done.
    pub mode: Mode,
    /// How much later `slow` answers.
    #[serde(default)]
    pub delay_ms: DelayMs,
    /// For how many charges and refunds, repeated ones included, before all is normal again; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<NonZeroU32>,
}

/// 0 to 60,000 ms; 2,000 unless given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64")]
pub struct DelayMs(u64);

impl DelayMs {
    /// How long that is.
    pub(crate) fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl Default for DelayMs {
    fn default() -> Self {
        Self(2_000)
    }
}

impl TryFrom<u64> for DelayMs {
    type Error = Invalid;

    fn try_from(milliseconds: u64) -> Result<Self, Invalid> {
        match milliseconds {
            0..=60_000 => Ok(Self(milliseconds)),
            _ => Err(Invalid::because("expected 0 to 60000 milliseconds")),
        }
    }
}

/// The behaviour of now, which requests use up.
#[derive(Default)]
pub(crate) struct Switch(watch::Sender<Behaviour>);

impl Switch {
    pub(crate) fn set(&self, behaviour: Behaviour) {
        self.0.send_replace(behaviour);
    }

    pub(crate) fn now(&self) -> Behaviour {
        *self.0.borrow()
    }

    /// How the next request is treated, which counts.
    pub(crate) fn next(&self) -> Behaviour {
        let mut next = Behaviour::default();
        self.0.send_modify(|behaviour| {
            next = *behaviour;
            if let Some(times) = behaviour.times {
                match NonZeroU32::new(times.get() - 1) {
                    Some(left) => behaviour.times = Some(left),
                    None => *behaviour = Behaviour::default(),
                }
            }
        });
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_normal_again_after_so_many_requests() {
        let switch = Switch::default();
        assert_eq!(switch.next().mode, Mode::Normal);
        switch.set(Behaviour { mode: Mode::Fail, times: NonZeroU32::new(2), ..Behaviour::default() });
        let modes: Vec<_> = (0..4).map(|_| switch.next().mode).collect();
        assert_eq!(modes, [Mode::Fail, Mode::Fail, Mode::Normal, Mode::Normal]);
        switch.set(Behaviour { mode: Mode::Hang, ..Behaviour::default() });
        assert!((0..1000).all(|_| switch.next().mode == Mode::Hang));
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        let behaviour: Behaviour = serde_json::from_str(r#"{"mode":"drop-after-commit"}"#).unwrap();
        assert_eq!(behaviour, Behaviour { mode: Mode::DropAfterCommit, ..Behaviour::default() });
        for wrong in [
            r#"{}"#,
            r#"{"mode":"kind"}"#,
            r#"{"mode":"slow","delayMs":60001}"#,
            r#"{"mode":"slow","times":0}"#,
            r#"{"mode":"slow","delay":1}"#,
        ] {
            assert!(serde_json::from_str::<Behaviour>(wrong).is_err(), "{wrong}");
        }
    }
}
