//! What a feed has told, and each subscriber's place in it.
//!
//! A subscriber has no queue of its own: it reads on from its place as fast as its client takes it. Of a state only the last one is
//! kept, so whoever is slow leaves out what is past. Of a list everything counts: whoever falls behind what is kept is told so, and
//! cut off.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::sync::watch;

use crate::graphql::{Code, Error};

/// How many items of a list are kept for those who are slow.
const KEPT: usize = 1_000;

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
}

impl Log {
    /// Of a list everything counts, of a state the last.
    pub(super) fn new(is_list: bool) -> Self {
        Self { first: 0, items: VecDeque::new(), keep: if is_list { KEPT } else { 1 }, failed: None }
    }

    pub(super) fn push(&mut self, item: Bytes) {
        if self.items.len() == self.keep {
            self.items.pop_front();
            self.first += 1;
        }
        self.items.push_back(item);
    }

    pub(super) fn fail(&mut self, errors: Bytes) {
        self.failed = Some(errors);
    }

    pub(super) fn last(&self) -> Option<&Bytes> {
        self.items.back()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// What comes at this place, and the place behind it. `None`: nothing yet.
    fn at(&self, place: u64) -> Option<(Told, u64)> {
        let place = if self.keep == 1 { place.max(self.first) } else { place };
        let Some(ahead) = place.checked_sub(self.first) else {
            let message = format!("more than {KEPT} events were told that have not been received; subscribe again");
            return Some((Told::Failed(errors(Error::new(Code::Timeout, message))), place));
        };
        let item = usize::try_from(ahead).ok().and_then(|ahead| self.items.get(ahead));
        item.map(|item| (Told::Next(item.clone()), place + 1))
            .or_else(|| self.failed.clone().map(|errors| (Told::Failed(errors), place)))
    }
}

/// Errors as a JSON list.
pub(super) fn errors(error: Error) -> Bytes {
    serde_json::to_vec(&[error.into_server_error()]).unwrap_or_default().into()
}

/// A subscriber's place.
#[derive(Debug)]
pub struct Subscription {
    log: watch::Receiver<Log>,
    place: u64,
}

impl Subscription {
    /// From the first that is kept.
    pub(super) fn new(mut log: watch::Receiver<Log>) -> Self {
        let place = log.borrow_and_update().first;
        Self { log, place }
    }

    /// What is told next; `None` when nothing will be any more. Nothing is lost when it is given up midway.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            let found = self.log.borrow_and_update().at(self.place);
            if let Some((told, place)) = found {
                self.place = place;
                return Some(told);
            }
            self.log.changed().await.ok()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscribe(is_list: bool) -> (watch::Sender<Log>, Subscription) {
        let (sender, receiver) = watch::channel(Log::new(is_list));
        (sender, Subscription::new(receiver))
    }

    fn tell(sender: &watch::Sender<Log>, numbers: std::ops::RangeInclusive<u32>) {
        for number in numbers {
            sender.send_modify(|log| log.push(number.to_string().into()));
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
}
