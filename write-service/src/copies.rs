//! What contexts do alike with their copies of other contexts' aggregates.

use std::collections::BTreeMap;

use contracts::envelope::AggregateVersion;

/// The event with the highest version of each aggregate, by id: one statement cannot change a row twice, and rows that are
/// locked in one order cannot deadlock.
pub(crate) fn latest<'a, E>(
    events: &'a [E],
    of: impl Fn(&'a E) -> (&'a str, AggregateVersion),
) -> BTreeMap<&'a str, &'a E> {
    let mut latest = BTreeMap::new();
    for event in events {
        let (id, version) = of(event);
        let kept = latest.entry(id).or_insert(event);
        if of(kept).1 < version {
            *kept = event;
        }
    }
    latest
}
