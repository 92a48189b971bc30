//! What a benchmark has found: a table for people, then a line of JSON for each figure.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::stats::median;

/// One figure; the median, when it was measured several times.
#[derive(Clone, Debug, PartialEq)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    floor: Option<f64>,
    ratio: Option<f64>,
}

/// All figures of one benchmark.
#[derive(Debug)]
pub(crate) struct Report {
    bench: &'static str,
    figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn new(bench: &'static str) -> Self {
        Self { bench, figures: Vec::new() }
    }

    /// Adds the medians of a figure's runs and of its floor's, and their ratio. Nothing measured, nothing added.
    pub(crate) fn add(&mut self, name: &str, unit: &'static str, values: &[f64], floors: &[f64]) {
        let Some(value) = median(values) else { return };
        let floor = median(floors);
        self.push(name, unit, value, floor, floor.map(|floor| value / floor));
    }

    /// Adds a figure whose ratio is not to its floor but to something else of the same run.
    pub(crate) fn add_beside(&mut self, name: &str, unit: &'static str, values: &[f64], beside: &str) {
        let Some(value) = median(values) else { return };
        let ratio = self.value(beside).map(|beside| value / beside);
        self.push(name, unit, value, None, ratio);
    }

    /// Adds what a rival has reached; its ratio is ours to the rival's.
    pub(crate) fn add_rival(&mut self, rival: &str, name: &str, unit: &'static str, values: &[f64]) {
        let Some(value) = median(values) else { return };
        let ratio = self.value(name).map(|ours| ours / value);
        self.push(&format!("{rival}_{name}"), unit, value, None, ratio);
    }

    /// What was measured for a figure.
    fn value(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    }

    fn push(&mut self, name: &str, unit: &'static str, value: f64, floor: Option<f64>, ratio: Option<f64>) {
        self.figures.push(Figure { name: name.to_owned(), value, unit, floor, ratio });
    }

    /// Prints the table and the lines of JSON.
    #[allow(clippy::print_stdout, reason = "the figures are the program's answer")]
    pub(crate) fn print(&self) {
        println!("{}", self.table());
        for figure in &self.figures {
            println!("{}", self.json(figure));
        }
    }

    fn table(&self) -> String {
        let mut table = format!("{:<30}{:>12}{:>12}{:>8}  unit\n", self.bench, "value", "floor", "ratio");
        for Figure { name, value, unit, floor, ratio } in &self.figures {
            let floor = floor.map_or_else(|| "-".to_owned(), readable);
            let ratio = ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
            _ = writeln!(table, "{name:<30}{:>12}{floor:>12}{ratio:>8}  {unit}", readable(*value));
        }
        table
    }

    fn json(&self, figure: &Figure) -> Value {
        json!({
            "bench": self.bench,
            "figure": figure.name,
            "value": rounded(figure.value),
            "unit": figure.unit,
            "floor": figure.floor.map(rounded),
            "ratio": figure.ratio.map(rounded),
        })
    }
}

fn readable(value: f64) -> String {
    if value >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_that_of_the_medians() {
        let mut report = Report::new("test");
        report.add("drain", "events/s", &[100.0, 130.0, 120.0], &[60.0, 10.0, 600.0]);
        report.add("rss", "MiB", &[20.0], &[]);
        report.add("absent", "MiB", &[], &[1.0]);
        report.add_beside("slower", "events/s", &[60.0], "drain");
        let lines: Vec<_> = report.figures.iter().map(|figure| report.json(figure).to_string()).collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].contains(r#""floor":60.0"#) && lines[0].contains(r#""ratio":2.0"#), "{}", lines[0]);
        assert!(lines[1].contains(r#""floor":null"#) && lines[1].contains(r#""ratio":null"#), "{}", lines[1]);
        assert!(lines[2].contains(r#""floor":null"#) && lines[2].contains(r#""ratio":0.5"#), "{}", lines[2]);
        assert!(report.table().contains("120.00"));
    }
}
