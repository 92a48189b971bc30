//! Never past an unacknowledged event, whatever the order of the acknowledgements.

use std::sync::Arc;

use proptest::prelude::*;

use super::{AckWindow, Progress};
use contracts::envelope::Lsn;

/// A transaction's events are acknowledged in some order, mixed with those of others; each step is checked against a
/// model that knows everything.
fn run(transactions: &[usize], mut order: Vec<u64>, window: usize) -> Result<(), TestCaseError> {
    let window = AckWindow::new(window);
    let mut progress = Progress::new(Lsn(5));
    let mut model = Vec::new();
    let (mut low, mut acknowledged) = (0, vec![false; order.len()]);
    for (number, events) in transactions.iter().enumerate() {
        progress.begin(number as i64);
        for _ in 0..*events {
            progress.sent();
        }
        let end = Lsn(10 * (number as u64 + 1));
        progress.commit(end);
        model.push((progress.next_event(), end));
        // Some acknowledgements come while later transactions are still received.
        let sent = progress.next_event();
        if let Some(at) = order.iter().position(|event| *event < sent) {
            acknowledge(order.remove(at), &window, &mut acknowledged);
        }
        low = window.drain(low, sent);
        progress.acknowledged(low);
        check(&progress, &model, &acknowledged)?;
    }
    for event in order {
        acknowledge(event, &window, &mut acknowledged);
        low = window.drain(low, progress.next_event());
        progress.acknowledged(low);
        check(&progress, &model, &acknowledged)?;
    }
    prop_assert!(progress.is_idle());
    prop_assert_eq!(progress.oldest(), None);
    prop_assert_eq!(progress.confirmable(), model.last().map_or(Lsn(5), |last| last.1));
    Ok(())
}

fn acknowledge(event: u64, window: &AckWindow, acknowledged: &mut [bool]) {
    window.acknowledge(event);
    acknowledged[event as usize] = true;
}

fn check(progress: &Progress, model: &[(u64, Lsn)], acknowledged: &[bool]) -> Result<(), TestCaseError> {
    let delivered = acknowledged.iter().take_while(|done| **done).count() as u64;
    let expected = model.iter().take_while(|(after, _)| *after <= delivered).last().map_or(Lsn(5), |last| last.1);
    prop_assert_eq!(progress.confirmable(), expected);
    Ok(())
}

proptest! {
    #[test]
    fn confirms_exactly_the_whole_transactions_that_are_acknowledged(
        (transactions, order) in prop::collection::vec(0_usize..7, 1..30).prop_flat_map(|transactions| {
            let events: Vec<u64> = (0..transactions.iter().sum::<usize>() as u64).collect();
            (Just(transactions), Just(events).prop_shuffle())
        })
    ) {
        run(&transactions, order, 256)?;
    }

    #[test]
    fn the_window_drains_what_was_set_and_only_that(mut events in prop::collection::vec(0_u64..64, 1..600)) {
        // Acknowledged out of order within a distance that the smallest window allows, around the ring many times.
        let window = AckWindow::new(1);
        prop_assert_eq!(window.capacity(), 64);
        let total = events.len() as u64;
        let mut order: Vec<u64> = (0..total).collect();
        order.sort_by_cached_key(|event| event / 8 * 100 + events.pop().unwrap_or(0));
        let (mut low, mut done) = (0, vec![false; total as usize]);
        for event in order {
            window.acknowledge(event);
            done[event as usize] = true;
            low = window.drain(low, total);
            prop_assert_eq!(low, done.iter().take_while(|done| **done).count() as u64);
        }
        prop_assert_eq!(low, total);
    }
}

#[test]
fn a_keepalive_counts_only_when_nothing_is_in_flight() {
    let mut progress = Progress::new(Lsn(1));
    progress.idle_until(Lsn(2));
    assert_eq!(progress.confirmable(), Lsn(2));
    progress.begin(7);
    progress.idle_until(Lsn(3));
    assert_eq!(progress.confirmable(), Lsn(2), "inside a transaction");
    progress.sent();
    progress.commit(Lsn(4));
    progress.idle_until(Lsn(5));
    assert_eq!((progress.confirmable(), progress.oldest()), (Lsn(2), Some(7)), "unacknowledged");
    progress.acknowledged(1);
    progress.idle_until(Lsn(5));
    assert_eq!((progress.confirmable(), progress.oldest()), (Lsn(5), None));
}

#[test]
fn never_goes_back() {
    let mut progress = Progress::new(Lsn(9));
    progress.begin(0);
    progress.commit(Lsn(4));
    progress.idle_until(Lsn(3));
    assert_eq!(progress.confirmable(), Lsn(9));
}

#[test]
fn a_transaction_without_events_waits_for_the_one_before() {
    let mut progress = Progress::new(Lsn(0));
    progress.begin(0);
    progress.sent();
    progress.commit(Lsn(1));
    progress.begin(0);
    progress.commit(Lsn(2));
    assert_eq!(progress.confirmable(), Lsn(0));
    progress.acknowledged(1);
    assert_eq!(progress.confirmable(), Lsn(2));
}

#[test]
fn threads_acknowledge_while_the_relay_drains() {
    let window = Arc::new(AckWindow::new(1024));
    let total = 1000;
    std::thread::scope(|scope| {
        for start in 0..4 {
            let window = Arc::clone(&window);
            scope.spawn(move || (start..total).step_by(4).for_each(|event| window.acknowledge(event)));
        }
        let mut low = 0;
        while low < total {
            low = window.drain(low, total);
            std::thread::yield_now();
        }
    });
}
