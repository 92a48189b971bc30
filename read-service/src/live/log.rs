//! What a feed has told, and each subscriber's place in it.
//!
//! A subscriber has no queue of its own: it reads on from its place as fast as its client takes it. Of a state only the last one is
//! kept, so whoever is slow leaves out what is past. Of a list everything counts: whoever falls behind what is kept is told so, and
//! cut off. What is kept of all feeds has a limit in bytes.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::sync::watch;

use super::budget::Share;
use crate::graphql::{Code, Error};

/// How many items of a list are kept for those who are slow.
const KEPT: usize = 1_000;

/// What an item takes beside its text, in bytes: its place, and what is known of it.
const ITEM: usize = 128;

/// What a subscriber is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// An answer, as JSON.
    Next(Bytes),
    /// The errors for which the subscription has ended, as a JSON list.
    Failed(Bytes),
}

/// What has been told.
#[derive(Debug)]
pub(super) struct Log {
    /// The number of the first that is kept.
    first: u64,
    items: VecDeque<Bytes>,
    keep: usize,
    failed: Option<Bytes>,
    has_ended: bool,
    share: Share,
}

impl Log {
    /// Of a list everything counts, of a state the last.
    pub(super) fn new(is_list: bool, share: Share) -> Self {
        let keep = if is_list { KEPT } else { 1 };
        Self { first: 0, items: VecDeque::new(), keep, failed: None, has_ended: false, share }
    }

    /// Keeps one more, and the last ones before it.
    ///
    /// # Errors
    /// When that would take more memory than there is.
    pub(super) fn push(&mut self, item: Bytes) -> Result<(), Error> {
        if self.items.len() == self.keep {
            self.forget();
        }
        if !self.share.take(ITEM + item.len()) {
            return Err(no_memory());
        }
        self.items.push_back(item);
        Ok(())
    }

    fn forget(&mut self) {
        if let Some(item) = self.items.pop_front() {
            self.share.give_back(ITEM + item.len());
            self.first += 1;
        }
    }

    /// Nothing more is told, and nothing is kept but why.
    pub(super) fn fail(&mut self, errors: Bytes) {
        while !self.items.is_empty() {
            self.forget();
        }
        self.failed = Some(errors);
        self.end();
    }

    /// Nothing more is told.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    pub(super) fn last(&self) -> Option<&Bytes> {
        self.items.back()
    }

    /// What comes at this place, and the place behind it. `None`: nothing yet.
    fn at(&self, place: u64) -> Option<(Told, u64)> {
        let may_leave_out = self.keep == 1 || self.failed.is_some();
        let place = if may_leave_out { place.max(self.first) } else { place };
        let Some(ahead) = place.checked_sub(self.first) else {
            let message = format!("more than {KEPT} events were told that have not been received; subscribe again");
            return Some((Told::Failed(errors(Error::new(Code::Timeout, message))), place));
        };
        let item = usize::try_from(ahead).ok().and_then(|ahead| self.items.get(ahead));
        item.map(|item| (Told::Next(item.clone()), place + 1))
            .or_else(|| self.failed.clone().map(|errors| (Told::Failed(errors), place)))
    }
}

/// What is followed takes more memory than there is for all of it.
pub(super) fn no_memory() -> Error {
    Error::new(Code::Unavailable, "what is followed here takes all the memory that there is for it; try again later")
}

/// Errors as a JSON list.
pub(super) fn errors(error: Error) -> Bytes {
    serde_json::to_vec(&[error.into_server_error()]).unwrap_or_default().into()
}

/// A subscriber's place.
#[derive(Debug)]
pub struct Subscription {
    log: watch::Receiver<Log>,
    /// None until the views have been looked at after it has come: what was told to others may be older than what it knows.
    place: Option<u64>,
    looks: watch::Receiver<u64>,
    /// From which look on.
    from: u64,
}

impl Subscription {
    /// From the first that is kept, once this look has ended.
    pub(super) fn new(log: watch::Receiver<Log>, looks: watch::Receiver<u64>, from: u64) -> Self {
        Self { log, place: None, looks, from }
    }

    /// What is told next; `None` when nothing will be any more. Nothing is lost when it is given up midway.
    pub async fn next(&mut self) -> Option<Told> {
        if self.place.is_none() {
            self.looks.wait_for(|look| *look >= self.from).await.ok()?;
        }
        loop {
            let found = {
                let log = self.log.borrow_and_update();
                log.at(*self.place.get_or_insert(log.first))
            };
            if let Some((told, place)) = found {
                self.place = Some(place);
                return Some(told);
            }
            self.log.changed().await.ok()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::gauge::Gauge;

    use super::{super::budget::Budget, *};

    fn log(is_list: bool, bytes: usize) -> watch::Sender<Log> {
        watch::Sender::new(Log::new(is_list, Budget::new(bytes, Gauge::default()).share()))
    }

    fn subscribe(is_list: bool) -> (watch::Sender<Log>, Subscription) {
        let sender = log(is_list, 1024 * 1024);
        let subscription = Subscription::new(sender.subscribe(), watch::Sender::new(1).subscribe(), 1);
        (sender, subscription)
    }

    fn tell(sender: &watch::Sender<Log>, numbers: std::ops::RangeInclusive<u32>) {
        for number in numbers {
            sender.send_modify(|log| log.push(number.to_string().into()).unwrap());
        }
    }

    #[tokio::test]
    async fn of_a_state_the_last_is_told_to_whoever_is_slow() {
        let (sender, mut subscription) = subscribe(false);
        tell(&sender, 1..=1);
        assert_eq!(subscription.next().await, Some(Told::Next("1".into())));
        tell(&sender, 2..=5_000);
        assert_eq!(subscription.next().await, Some(Told::Next("5000".into())));
        drop(sender);
        assert_eq!(subscription.next().await, None);
    }

    #[tokio::test]
    async fn of_a_list_all_is_told_in_order_or_it_is_said_that_it_is_not() {
        let (sender, mut subscription) = subscribe(true);
        tell(&sender, 1..=1_000);
        for number in 1..=1_000 {
            assert_eq!(subscription.next().await, Some(Told::Next(number.to_string().into())));
        }
        tell(&sender, 1..=1_001);
        let Some(Told::Failed(errors)) = subscription.next().await else { panic!("it is cut off") };
        assert!(String::from_utf8_lossy(&errors).contains("subscribe again"));
    }

    #[tokio::test]
    async fn who_comes_later_is_told_nothing_before_it_has_been_looked_for_it() {
        let (sender, looks) = (log(false, 1024), watch::Sender::new(1));
        let mut subscription = Subscription::new(sender.subscribe(), looks.subscribe(), 2);
        tell(&sender, 1..=1);
        assert_eq!(futures::poll!(std::pin::pin!(subscription.next())), std::task::Poll::Pending);
        tell(&sender, 2..=2);
        looks.send_replace(2);
        assert_eq!(subscription.next().await, Some(Told::Next("2".into())));
    }

    #[tokio::test]
    async fn what_has_failed_keeps_no_memory_and_says_why_to_whoever_is_behind() {
        let (sender, mut subscription) = subscribe(true);
        tell(&sender, 1..=3);
        assert_eq!(subscription.next().await, Some(Told::Next("1".into())));
        sender.send_modify(|log| log.fail("why".into()));
        assert_eq!(subscription.next().await, Some(Told::Failed("why".into())));
        assert!(sender.send_if_modified(|log| log.share.take(1024 * 1024)), "all of it is there again");
    }

    #[test]
    fn a_log_takes_no_more_than_there_is() {
        for (is_list, fit) in [(true, 3), (false, 100)] {
            let sender = log(is_list, 3 * (ITEM + 10));
            let push = |number| sender.send_if_modified(|log| log.push(format!("{number:10}").into()).is_ok());
            assert_eq!((0..100).take_while(|number| push(*number)).count(), fit);
        }
    }
}
