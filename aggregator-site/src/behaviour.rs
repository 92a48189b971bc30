//! How the site behaves: well, or as badly as third parties do, for so many requests or until it is told otherwise.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// What is done to what the site is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It is kept.
    #[default]
    Normal,
    /// 503, and it is not kept.
    Fail,
    /// 422, and it is not kept.
    Refuse,
    /// No answer, as long as the client waits, and it is not kept.
    Hang,
    /// The connection is closed without an answer, and it is not kept.
    DropBeforeCommit,
    /// It is kept; then the connection is closed without an answer.
    DropAfterCommit,
}

/// The body of `PUT` and `GET /v1/behaviour`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Behaviour {
    /// What is done.
    pub mode: Mode,
    /// For how many requests, before all is normal again; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<NonZeroU32>,
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
    pub(crate) fn next(&self) -> Mode {
        let mut mode = Mode::Normal;
        self.0.send_modify(|behaviour| {
            mode = behaviour.mode;
            if let Some(times) = behaviour.times {
                *behaviour = match NonZeroU32::new(times.get() - 1) {
                    Some(left) => Behaviour { times: Some(left), ..*behaviour },
                    None => Behaviour::default(),
                };
            }
        });
        mode
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_normal_again_after_so_many_requests() {
        let switch = Switch::default();
        switch.set(Behaviour { mode: Mode::Fail, times: NonZeroU32::new(2) });
        let modes: Vec<_> = (0..4).map(|_| switch.next()).collect();
        assert_eq!(modes, [Mode::Fail, Mode::Fail, Mode::Normal, Mode::Normal]);
        switch.set(Behaviour { mode: Mode::Hang, times: None });
        assert!((0..1000).all(|_| switch.next() == Mode::Hang));
    }
}
