//! How far a rebuild is, for who waits for it: a bar where standard error is a terminal, else a line every few seconds.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use crate::view::View;

/// How often a line is written.
const LINE: Duration = Duration::from_secs(5);
/// How often a bar is drawn.
const BAR: Duration = Duration::from_millis(200);
/// How wide it is.
const WIDTH: u64 = 30;

/// What one rebuild tells.
pub(super) struct Progress {
    view: View,
    is_terminal: bool,
    /// What is being done, and what is counted.
    stage: (&'static str, &'static str),
    began: Instant,
    shown: Instant,
}

impl Progress {
    /// Tells of the rebuild of a view.
    pub(super) fn of(view: View) -> Self {
        let now = Instant::now();
        Self { view, is_terminal: std::io::stderr().is_terminal(), stage: ("", ""), began: now, shown: now }
    }

    /// Something begins, of which `unit`s are counted.
    pub(super) fn begin(&mut self, doing: &'static str, unit: &'static str) {
        self.stage = (doing, unit);
        self.began = Instant::now();
        self.say(doing);
    }

    /// So much of it is done.
    pub(super) fn at(&mut self, done: u64, total: u64) {
        let interval = if self.is_terminal { BAR } else { LINE };
        if self.shown.elapsed() < interval || total == 0 {
            return;
        }
        self.shown = Instant::now();
        let text = line(self.stage.1, done.min(total), total, self.began.elapsed());
        let view = self.view.table();
        if self.is_terminal {
            let full = usize::try_from(WIDTH * done.min(total) / total).unwrap_or_default();
            let rest = usize::try_from(WIDTH).unwrap_or_default() - full;
            put(format_args!("\r\x1b[2K{view}: [{}{}] {text}", "#".repeat(full), "·".repeat(rest)));
        } else {
            put(format_args!("{view}: {}: {text}\n", self.stage.0));
        }
    }

    /// Something that is always told.
    pub(super) fn say(&mut self, text: &str) {
        self.shown = Instant::now();
        let clear = if self.is_terminal { "\r\x1b[2K" } else { "" };
        put(format_args!("{clear}{}: {text}\n", self.view.table()));
    }
}

/// Nobody can be told that standard error is closed.
fn put(text: std::fmt::Arguments<'_>) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_fmt(text).and_then(|()| out.flush());
}

fn line(unit: &str, done: u64, total: u64, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    let percent = done * 100 / total.max(1);
    let text = format!("{percent} %, {} of {} {unit}, {}/s", grouped(done), grouped(total), grouped(rate as u64));
    if rate < 1.0 {
        return text;
    }
    let left = ((total - done) as f64 / rate).ceil() as u64;
    match left {
        0..120 => format!("{text}, {left} s left"),
        _ => format!("{text}, {} min left", left.div_ceil(60)),
    }
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long() {
        let said = line("messages", 250_000, 1_000_000, Duration::from_secs(2));
        assert_eq!(said, "25 %, 250,000 of 1,000,000 messages, 125,000/s, 6 s left");
        let slow = line("rows", 1_000, 1_000_000, Duration::from_secs(10));
        assert_eq!(slow, "0 %, 1,000 of 1,000,000 rows, 100/s, 167 min left");
        assert_eq!(line("rows", 0, 10, Duration::from_secs(3)), "0 %, 0 of 10 rows, 0/s");
    }
}
