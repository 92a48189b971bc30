//! What a check has found: a list of lines, each fine, worth a thought, or to be repaired.

use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// The relay works, but not as safely as it could.
    Warning,
    /// The relay will not work, or a guarantee will not hold.
    Problem,
}

/// One finding; what is not as it should be comes with its remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How bad it is.
    pub verdict: Verdict,
    /// What was found and, after a colon, what to do about it.
    pub text: String,
}

/// All findings, in the order in which they were looked for.
#[derive(Clone, Debug, Default)]
pub struct Report(Vec<Line>);

impl Report {
    /// Whether nothing has to be repaired.
    pub fn passed(&self) -> bool {
        self.0.iter().all(|line| line.verdict != Verdict::Problem)
    }

    /// The findings.
    pub fn lines(&self) -> &[Line] {
        &self.0
    }

    pub(super) fn ok(&mut self, text: impl Into<String>) {
        self.add(Verdict::Ok, text.into());
    }

    pub(super) fn warning(&mut self, what: impl fmt::Display, remedy: impl fmt::Display) {
        self.add(Verdict::Warning, format!("{what}: {remedy}"));
    }

    pub(super) fn problem(&mut self, what: impl fmt::Display, remedy: impl fmt::Display) {
        self.add(Verdict::Problem, format!("{what}: {remedy}"));
    }

    /// Fine, or to be repaired.
    pub(super) fn expect(
        &mut self,
        fine: bool,
        ok: impl Into<String>,
        what: impl fmt::Display,
        remedy: impl fmt::Display,
    ) {
        if fine { self.ok(ok) } else { self.problem(what, remedy) }
    }

    fn add(&mut self, verdict: Verdict, text: String) {
        self.0.push(Line { verdict, text });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, line) in self.0.iter().enumerate() {
            let word = match line.verdict {
                Verdict::Ok => "ok",
                Verdict::Warning => "warning",
                Verdict::Problem => "problem",
            };
            let end_of_last = if at == 0 { "" } else { "\n" };
            write!(f, "{end_of_last}{word} {}", line.text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_problem_fails_the_check() {
        let mut report = Report::default();
        report.ok("fine");
        report.warning("odd", "look");
        assert!(report.passed());
        report.expect(false, "fine", "broken", "mend it");
        assert!(!report.passed());
        assert_eq!(report.to_string(), "ok fine\nwarning odd: look\nproblem broken: mend it");
    }
}
