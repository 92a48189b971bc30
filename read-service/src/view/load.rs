//! What a connection has under way: what was asked and is not answered yet, whether or not anybody still waits for it.
//!
//! PostgreSQL works on what was given up all the same, and everything behind it waits. When its answer has come nobody sees, so
//! the server is asked a question behind it: answers come in order.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::Notify;

/// How many answers that nobody sees may come one after the other. More of them, and a connection is better made anew.
const MOST_UNSEEN: u64 = 7;

/// What a connection has under way.
#[derive(Default)]
pub(super) struct Load {
    started: AtomicU64,
    answered: AtomicU64,
    /// How often the server was asked whether it still answers.
    questions: AtomicU64,
    given_up: Mutex<GivenUp>,
    bell: Notify,
}

/// Statements that were given up before their answer came.
#[derive(Default)]
struct GivenUp {
    /// Sent before the last question, which is not answered yet.
    before: u64,
    /// Sent since.
    since: u64,
}

impl Load {
    /// How many statements are to be answered before one that comes now.
    pub(super) fn under_way(&self) -> u64 {
        self.started.load(Ordering::Relaxed).saturating_sub(self.answered.load(Ordering::Relaxed))
    }

    /// A statement that is sent now.
    pub(super) fn start(&self) -> UnderWay<'_> {
        self.started.fetch_add(1, Ordering::Relaxed);
        UnderWay { load: self, after: self.questions.load(Ordering::Relaxed), is_answered: false }
    }

    /// Until a statement is given up.
    pub(super) async fn given_up(&self) {
        self.bell.notified().await;
    }

    /// The server is asked a question, behind all that was sent.
    pub(super) fn ask(&self) {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        self.questions.fetch_add(1, Ordering::Relaxed);
        given_up.before += std::mem::take(&mut given_up.since);
    }

    /// The question was answered, and so was all that was sent before it.
    pub(super) fn caught_up(&self) {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        self.answered.fetch_add(std::mem::take(&mut given_up.before), Ordering::Relaxed);
    }

    /// Whether the server may be at work though the question is not answered yet. To be asked as often as a statement's
    /// longest time has passed: each time, an answer has come or one may have come that nobody saw.
    pub(super) fn goes_on(&self) -> impl FnMut() -> bool {
        let (mut seen, mut silences) = (self.answered.load(Ordering::Relaxed), 0);
        move || {
            let answered = self.answered.load(Ordering::Relaxed);
            silences = if answered == seen { silences + 1 } else { 0 };
            seen = answered;
            let unseen = self.given_up.lock().unwrap_or_else(PoisonError::into_inner).before;
            silences <= unseen.min(MOST_UNSEEN)
        }
    }

    fn give_up(&self, after: u64) {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        if after == self.questions.load(Ordering::Relaxed) {
            given_up.since += 1;
        } else {
            given_up.before += 1;
        }
        self.bell.notify_one();
    }
}

/// A statement under way. Dropped without an answer, it stays so until a later answer shows that its own has come.
pub(super) struct UnderWay<'a> {
    load: &'a Load,
    /// Behind which question it was sent.
    after: u64,
    is_answered: bool,
}

impl UnderWay<'_> {
    /// Something more is sent for it.
    pub(super) fn sends_more(&mut self) {
        self.after = self.load.questions.load(Ordering::Relaxed);
    }

    /// Its answer has come.
    pub(super) fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.is_answered {
            self.load.answered.fetch_add(1, Ordering::Relaxed);
        } else {
            self.load.give_up(self.after);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_up_is_under_way_until_a_later_question_is_answered() {
        let load = Load::default();
        let (early, answered) = (load.start(), load.start());
        drop(load.start());
        answered.answered();
        load.ask();
        let late = load.start();
        drop(early);
        drop(late);
        assert_eq!(load.under_way(), 3);
        load.caught_up();
        assert_eq!(load.under_way(), 1, "the question says nothing of what came behind it");
        load.ask();
        load.caught_up();
        assert_eq!(load.under_way(), 0);
    }

    #[test]
    fn what_sends_more_after_a_question_is_behind_it() {
        let load = Load::default();
        let mut statement = load.start();
        load.ask();
        statement.sends_more();
        drop(statement);
        load.caught_up();
        assert_eq!(load.under_way(), 1);
    }

    #[tokio::test]
    async fn it_is_heard_when_one_is_given_up() {
        let load = Load::default();
        drop(load.start());
        load.given_up().await;
    }

    #[test]
    fn a_silence_is_long_when_nothing_is_answered_that_could_be() {
        let load = Load::default();
        let statements = [load.start(), load.start(), load.start()];
        load.ask();
        let mut goes_on = load.goes_on();
        let [first, second, third] = statements;
        first.answered();
        assert!(goes_on(), "one was answered");
        drop(second);
        assert!(goes_on(), "one may have been answered");
        drop(load.start());
        assert!(!goes_on(), "what was given up behind the question is not answered before it");
        third.answered();
        assert!(goes_on());
    }

    #[test]
    fn however_many_were_given_up_a_silence_has_an_end() {
        let load = Load::default();
        (0..1_000).for_each(|_| drop(load.start()));
        load.ask();
        let mut goes_on = load.goes_on();
        assert_eq!((0..1_000).take_while(|_| goes_on()).count(), 7);
    }
}
