//! What a connection has under way: what was asked and is not answered yet, whether or not anybody still waits for it, and how
//! long that may take.
//!
//! PostgreSQL works on what was given up all the same, and everything behind it waits. When its answer has come nobody sees, so
//! the server is asked a question behind it: answers come in order.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// How many answers that nobody sees may come one after the other. More of them, and a connection is better made anew.
const MOST_UNSEEN: u64 = 7;

/// How long a statement takes, by its runs so far, in nanoseconds: until its answer is taken, from when it was sent or from the
/// answer before it.
#[derive(Debug)]
pub(super) struct Cost(AtomicU64);

impl Cost {
    /// What is expected of a statement that has not run yet.
    pub(super) const UNKNOWN: Duration = Duration::from_millis(2);

    /// What the next run may take.
    pub(super) fn expected(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    /// What a run took counts an eighth, and four times what was expected at most: now and then any statement waits for a core
    /// or a disk.
    pub(super) fn learn(&self, took: Duration) {
        let expected = self.0.load(Ordering::Relaxed);
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).min(expected.saturating_mul(4)).max(8);
        self.0.store(expected - expected / 8 + took / 8, Ordering::Relaxed);
    }
}

impl Default for Cost {
    fn default() -> Self {
        Self(AtomicU64::new(Self::UNKNOWN.as_nanos() as u64))
    }
}

/// What a connection has under way.
#[derive(Default)]
pub(super) struct Load {
    /// How long all that is under way may take, in nanoseconds.
    ahead: AtomicU64,
    /// Since when PostgreSQL has been at the first of it.
    since: Mutex<Option<Instant>>,
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
    before: Statements,
    /// Sent since.
    since: Statements,
}

#[derive(Default)]
struct Statements {
    number: u64,
    /// How long they may take, in nanoseconds.
    cost: u64,
}

impl Statements {
    fn add(&mut self, more: &Self) {
        self.number += more.number;
        self.cost += more.cost;
    }
}

impl Load {
    /// How long it may take until a statement that is sent now is begun: as long as it has been silent, at least.
    pub(super) fn ahead(&self, now: Instant) -> Duration {
        let expected = Duration::from_nanos(self.ahead.load(Ordering::Relaxed));
        if expected.is_zero() { expected } else { expected.max(self.silent(now)) }
    }

    /// A statement that is sent now, and may take so long.
    pub(super) fn start(&self, cost: Duration, now: Instant) -> UnderWay<'_> {
        let cost = u64::try_from(cost.as_nanos()).unwrap_or(u64::MAX).max(1);
        if self.ahead.fetch_add(cost, Ordering::Relaxed) == 0 {
            self.goes_on_at(now);
        }
        let after = self.questions.load(Ordering::Relaxed);
        UnderWay { load: self, cost, sent: now, after, is_answered: false }
    }

    fn silent(&self, now: Instant) -> Duration {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    fn goes_on_at(&self, now: Instant) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Until a statement is given up.
    pub(super) async fn given_up(&self) {
        self.bell.notified().await;
    }

    /// The server is asked a question, behind all that was sent.
    pub(super) fn ask(&self) {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        self.questions.fetch_add(1, Ordering::Relaxed);
        let since = std::mem::take(&mut given_up.since);
        given_up.before.add(&since);
    }

    /// The question was answered, and so was all that was sent before it.
    pub(super) fn caught_up(&self) {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        let Statements { number, cost } = std::mem::take(&mut given_up.before);
        self.answered.fetch_add(number, Ordering::Relaxed);
        self.ahead.fetch_sub(cost, Ordering::Relaxed);
        self.goes_on_at(Instant::now());
    }

    /// Whether the server may be at work though the question is not answered yet. To be asked as often as a statement's
    /// longest time has passed: each time, an answer has come or one may have come that nobody saw.
    pub(super) fn goes_on(&self) -> impl FnMut() -> bool {
        let (mut seen, mut silences) = (self.answered.load(Ordering::Relaxed), 0);
        move || {
            let answered = self.answered.load(Ordering::Relaxed);
            silences = if answered == seen { silences + 1 } else { 0 };
            seen = answered;
            let unseen = self.given_up.lock().unwrap_or_else(PoisonError::into_inner).before.number;
            silences <= unseen.min(MOST_UNSEEN)
        }
    }

    fn give_up(&self, after: u64, cost: u64) {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        let is_since = after == self.questions.load(Ordering::Relaxed);
        let statements = if is_since { &mut given_up.since } else { &mut given_up.before };
        statements.add(&Statements { number: 1, cost });
        self.bell.notify_one();
    }
}

/// A statement under way. Dropped without an answer, it stays so until a later answer shows that its own has come.
pub(super) struct UnderWay<'a> {
    load: &'a Load,
    cost: u64,
    sent: Instant,
    /// Behind which question it was sent.
    after: u64,
    is_answered: bool,
}

impl UnderWay<'_> {
    /// Something more is sent for it.
    pub(super) fn sends_more(&mut self) {
        self.sent = Instant::now();
        self.load.goes_on_at(self.sent);
        self.after = self.load.questions.load(Ordering::Relaxed);
    }

    /// Its answer has come, now. Returns how long the connection has been busy with it.
    pub(super) fn answered(mut self, now: Instant) -> Duration {
        self.is_answered = true;
        let busy = self.load.silent(now).min(now.saturating_duration_since(self.sent));
        self.load.goes_on_at(now);
        busy
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.is_answered {
            self.load.answered.fetch_add(1, Ordering::Relaxed);
            self.load.ahead.fetch_sub(self.cost, Ordering::Relaxed);
        } else {
            self.load.give_up(self.after, self.cost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: Duration = Duration::from_micros(100);

    fn start(load: &Load) -> UnderWay<'_> {
        load.start(COST, Instant::now())
    }

    fn expected(load: &Load) -> Duration {
        Duration::from_nanos(load.ahead.load(Ordering::Relaxed))
    }

    #[test]
    fn what_is_given_up_is_under_way_until_a_later_question_is_answered() {
        let load = Load::default();
        let (early, answered) = (start(&load), start(&load));
        drop(start(&load));
        answered.answered(Instant::now());
        load.ask();
        let late = start(&load);
        drop(early);
        drop(late);
        assert_eq!(expected(&load), 3 * COST);
        load.caught_up();
        assert_eq!(expected(&load), COST, "the question says nothing of what came behind it");
        load.ask();
        load.caught_up();
        assert_eq!(expected(&load), Duration::ZERO);
    }

    #[test]
    fn what_sends_more_after_a_question_is_behind_it() {
        let load = Load::default();
        let mut statement = start(&load);
        load.ask();
        statement.sends_more();
        drop(statement);
        load.caught_up();
        assert_eq!(expected(&load), COST);
    }

    #[tokio::test]
    async fn it_is_heard_when_one_is_given_up() {
        let load = Load::default();
        drop(start(&load));
        load.given_up().await;
    }

    #[test]
    fn a_silence_is_long_when_nothing_is_answered_that_could_be() {
        let load = Load::default();
        let statements = [start(&load), start(&load), start(&load)];
        load.ask();
        let mut goes_on = load.goes_on();
        let [first, second, third] = statements;
        first.answered(Instant::now());
        assert!(goes_on(), "one was answered");
        drop(second);
        assert!(goes_on(), "one may have been answered");
        drop(start(&load));
        assert!(!goes_on(), "what was given up behind the question is not answered before it");
        third.answered(Instant::now());
        assert!(goes_on());
    }

    #[test]
    fn however_many_were_given_up_a_silence_has_an_end() {
        let load = Load::default();
        (0..1_000).for_each(|_| drop(start(&load)));
        load.ask();
        let mut goes_on = load.goes_on();
        assert_eq!((0..1_000).take_while(|_| goes_on()).count(), 7);
    }

    #[test]
    fn a_statement_costs_what_it_takes_behind_the_one_before_it() {
        let (load, start) = (Load::default(), Instant::now());
        let after = |millis| start + Duration::from_millis(millis);
        let [first, second] = [load.start(COST, start), load.start(COST, after(1))];
        assert_eq!(first.answered(after(10)), Duration::from_millis(10));
        assert_eq!(second.answered(after(14)), Duration::from_millis(4));
        assert_eq!(load.start(COST, after(20)).answered(after(21)), Duration::from_millis(1));
    }

    #[test]
    fn a_silence_counts_when_something_is_under_way() {
        let (load, start) = (Load::default(), Instant::now());
        let after = |millis| start + Duration::from_millis(millis);
        let statements = [load.start(COST, start), load.start(COST, after(5))];
        assert_eq!([load.ahead(start), load.ahead(after(7))], [COST * 2, Duration::from_millis(7)]);
        let [first, second] = statements;
        first.answered(after(7));
        assert_eq!([load.ahead(after(7)), load.ahead(after(8))], [COST, Duration::from_millis(1)]);
        second.answered(after(9));
        assert_eq!(load.ahead(after(100)), Duration::ZERO);
    }

    #[test]
    fn what_a_statement_takes_is_learnt_and_one_slow_run_is_not_believed() {
        let cost = Cost::default();
        (0..60).for_each(|_| cost.learn(COST));
        let expected = cost.expected();
        assert!(expected >= COST && expected < COST * 11 / 10, "{expected:?}");
        cost.learn(Duration::from_secs(5));
        assert!(cost.expected() < COST * 3 / 2, "{:?}", cost.expected());
        (0..60).for_each(|_| cost.learn(Duration::from_secs(5)));
        assert!(cost.expected() > Duration::from_secs(4), "{:?}", cost.expected());
        (0..400).for_each(|_| cost.learn(Duration::ZERO));
        assert!(cost.expected() < Duration::from_micros(1));
    }
}
