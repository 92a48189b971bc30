//! Rows in memory on their way into a run, one after another in one piece, so that how much memory they take is known.

use std::collections::BTreeMap;

use crate::projection::Row;

/// The length of a value, as it stands before it in a row's cells.
const LENGTH: usize = size_of::<i32>();

/// A row with the place of the message that it comes from.
pub(super) struct Placed {
    pub(super) row: Row,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// Rows, and how far into each partition they reach.
#[derive(Default)]
pub(super) struct Arena {
    cells: Vec<u8>,
    rows: Vec<Place>,
    /// The offset after the last of each partition.
    pub(super) next: BTreeMap<i32, i64>,
}

/// Where a row's cells are.
struct Place {
    start: usize,
    length: usize,
    version: i64,
}

impl Arena {
    /// One that takes so many bytes before it moves.
    pub(super) fn with_room(bytes: usize) -> Self {
        Self { cells: Vec::with_capacity(bytes), ..Self::default() }
    }

    pub(super) fn push(&mut self, placed: &Placed) {
        let (row, start) = (&placed.row, self.cells.len());
        // Not twice as much, for the one that may not fit any more.
        self.cells.reserve_exact(row.bytes().len());
        self.cells.extend_from_slice(row.bytes());
        self.rows.push(Place { start, length: row.bytes().len(), version: row.version });
        let next = self.next.entry(placed.partition).or_default();
        *next = (*next).max(placed.offset + 1);
    }

    /// How much memory its content takes.
    pub(super) fn size(&self) -> usize {
        self.cells.len() + self.rows.len() * size_of::<Place>()
    }

    /// How much memory is set aside for it.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.cells.capacity() + self.rows.capacity() * size_of::<Place>()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The highest version of each id and its cells, in the order of the ids; of one version the one that came first.
    pub(super) fn sorted(&mut self) -> impl Iterator<Item = (i64, &[u8])> {
        let cells = |place: &Place| &self.cells[place.start..place.start + place.length];
        let by_id = |one: &Place, other: &Place| id(cells(one)).cmp(id(cells(other)));
        self.rows.sort_by(|one, other| by_id(one, other).then(other.version.cmp(&one.version)));
        self.rows.dedup_by(|later, first| id(cells(later)) == id(cells(first)));
        self.rows.iter().map(move |place| (place.version, cells(place)))
    }
}

/// The bytes of the id, which is a row's first cell.
pub(super) fn id(cells: &[u8]) -> &[u8] {
    let length = cells.first_chunk::<LENGTH>().map_or(0, |length| i32::from_be_bytes(*length));
    let end = LENGTH + usize::try_from(length).unwrap_or(0);
    cells.get(LENGTH..end).unwrap_or_default()
}
