//! One place's books beside what was posted: record by record, and in sums. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;

/// So many differences are told of a place; the others are counted.
const MOST_TOLD: usize = 5;

/// A record: how it stands, how much it is about, and what else it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) state: String,
    pub(crate) amount: i64,
    pub(crate) details: Value,
}

impl Record {
    pub(crate) fn new(state: impl Into<String>, amount: i64) -> Self {
        Self { state: state.into(), amount, details: Value::Null }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.state, self.amount)?;
        if self.details.is_null() { Ok(()) } else { write!(f, " {}", self.details) }
    }
}

/// What amounts are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Euros, in cents.
    Cents,
    /// Whatever is counted.
    Pieces,
    /// Nothing: its records have no amounts.
    None,
}

/// How many records there are, and what they come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    records: usize,
    amount: i64,
}

/// What a place has, beside what it should have.
pub(crate) struct Comparison {
    place: String,
    unit: Unit,
    /// By state: what was posted, what was found.
    sums: BTreeMap<String, [Sum; 2]>,
    /// The first few differences.
    told: Vec<String>,
    differences: usize,
}

impl Comparison {
    /// Compares; a key that is found twice is a difference too.
    pub(crate) fn of(
        place: impl Into<String>,
        unit: Unit,
        mut posted: BTreeMap<String, Record>,
        found: Vec<(String, Record)>,
    ) -> Self {
        let mut compared = Self { place: place.into(), unit, sums: BTreeMap::new(), told: Vec::new(), differences: 0 };
        posted.values().for_each(|record| compared.add(0, record));
        let mut seen = BTreeSet::new();
        for (key, record) in found {
            compared.add(1, &record);
            match posted.remove(&key) {
                _ if seen.contains(&key) => compared.differs(format!("{key}: found more than once, now {record}")),
                Some(expected) if expected == record => {}
                Some(expected) => compared.differs(format!("{key}: posted {expected}, found {record}")),
                None => compared.differs(format!("{key}: not posted, found {record}")),
            }
            seen.insert(key);
        }
        posted.iter().for_each(|(key, expected)| compared.differs(format!("{key}: posted {expected}, not found")));
        compared
    }

    /// Whether it has what it should.
    pub(crate) fn agrees(&self) -> bool {
        self.differences == 0 && self.sums.values().all(|[posted, found]| posted == found)
    }

    fn add(&mut self, side: usize, record: &Record) {
        let sum = &mut self.sums.entry(record.state.clone()).or_default()[side];
        sum.records += 1;
        sum.amount += record.amount;
    }

    fn differs(&mut self, what: String) {
        self.differences += 1;
        if self.told.len() < MOST_TOLD {
            self.told.push(what);
        }
    }
}

impl Unit {
    fn show(self, amount: i64) -> String {
        match self {
            Self::Cents => {
                let sign = if amount < 0 { "-" } else { "" };
                format!("{sign}{}.{:02}", (amount / 100).abs(), (amount % 100).abs())
            }
            Self::Pieces => amount.to_string(),
            Self::None => String::new(),
        }
    }
}

/// The head of the columns that follow.
pub(crate) struct Head;

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {:<50} {:>15} {:>27}", "", "records", "EUR, or rooms")?;
        write!(f, "  {:<50} {:>7} {:>7} {:>13} {:>13}", "", "posted", "found", "posted", "found")
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = self.place.as_str();
        for (number, (state, [posted, found])) in self.sums.iter().enumerate() {
            let line = if number == 0 { "" } else { "\n" };
            let [was, is] = [posted, found].map(|sum| self.unit.show(sum.amount));
            let (posted, found) = (posted.records, found.records);
            write!(f, "{line}  {name:<25} {state:<24} {posted:>7} {found:>7} {was:>13} {is:>13}")?;
            name = "";
        }
        if self.differences > 0 {
            write!(f, "\n    {} differences:", self.differences)?;
        }
        self.told.iter().try_for_each(|what| write!(f, "\n    {}: {what}", self.place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(posted: &[(&str, &str, i64)], found: &[(&str, &str, i64)]) -> Comparison {
        let records = |of: &[(&str, &str, i64)]| -> Vec<(String, Record)> {
            of.iter().map(|(key, state, amount)| ((*key).to_owned(), Record::new(*state, *amount))).collect()
        };
        Comparison::of("Books", Unit::Cents, records(posted).into_iter().collect(), records(found))
    }

    #[test]
    fn the_same_agrees_in_any_order() {
        let compared = compare(&[("1", "TAKEN", 50), ("2", "TAKEN", 70)], &[("2", "TAKEN", 70), ("1", "TAKEN", 50)]);
        assert!(compared.agrees());
        assert!(compared.to_string().contains("1.20"), "{compared}");
    }

    #[test]
    fn every_difference_is_told_with_its_place_and_its_record() {
        let posted = [("1", "TAKEN", 50), ("2", "TAKEN", 70)];
        let differences = [
            (vec![("1", "TAKEN", 50)], "Books: 2: posted TAKEN 70, not found"),
            (vec![("1", "TAKEN", 70), ("2", "TAKEN", 50)], "Books: 1: posted TAKEN 50, found TAKEN 70"),
            (vec![("1", "TAKEN", 50), ("2", "LOST", 70)], "Books: 2: posted TAKEN 70, found LOST 70"),
            (vec![("1", "TAKEN", 50), ("2", "TAKEN", 70), ("3", "TAKEN", 0)], "Books: 3: not posted, found TAKEN 0"),
            (vec![("1", "TAKEN", 50), ("2", "TAKEN", 70), ("2", "TAKEN", 70)], "Books: 2: found more than once"),
        ];
        for (found, told) in differences {
            let compared = compare(&posted, &found);
            assert!(!compared.agrees() && compared.to_string().contains(told), "{told}: {compared}");
        }
    }

    #[test]
    fn many_differences_are_counted_and_the_first_few_told() {
        let posted: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let posted: Vec<_> = posted.iter().map(|key| (key.as_str(), "TAKEN", 1)).collect();
        let text = compare(&posted, &[]).to_string();
        assert!(text.contains("100 differences") && text.lines().count() == MOST_TOLD + 2, "{text}");
    }
}
