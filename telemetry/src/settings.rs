//! Settings: read raw by clap (flag, then environment variable, then default), checked here all together, so that one
//! start reports every problem and not just the first.

use std::{fmt, process::ExitCode, str::FromStr};

/// Every problem that was found in the settings. Shown as one line a problem.
#[derive(Debug, Default, thiserror::Error)]
pub struct Problems(Vec<String>);

impl Problems {
    /// None so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes what is wrong with `setting` (`--listen / LISTEN`). Never put a secret's value into `reason`.
    pub fn add(&mut self, setting: &str, reason: impl fmt::Display) {
        self.0.push(format!("{setting}: {reason}"));
    }

    /// Parses `text`, or notes why not.
    pub fn parse<T: FromStr<Err: fmt::Display>>(&mut self, setting: &str, text: &str) -> Option<T> {
        text.parse().map_err(|error| self.add(setting, format!("{text:?}: {error}"))).ok()
    }

    /// The value, or a note that `setting` is required.
    pub fn required<T>(&mut self, setting: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.add(setting, "is required");
        }
        value
    }

    /// `settings`, when nothing was noted and there are any.
    ///
    /// # Errors
    /// All the problems.
    pub fn finish<T>(self, settings: Option<T>) -> Result<T, Self> {
        match settings {
            Some(settings) if self.0.is_empty() => Ok(settings),
            _ => Err(self),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the settings have {} problem{}:", self.0.len(), if self.0.len() == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))?;
        write!(f, "\n`--help` explains each setting.")
    }
}

/// The exit code for settings that cannot be used, the one that clap uses too.
pub const EXIT_SETTINGS: u8 = 2;

/// Prints the problems to standard error and gives the exit code for them.
#[allow(clippy::print_stderr, reason = "no log is set up yet")]
pub fn refuse(problems: &Problems) -> ExitCode {
    eprintln!("error: {problems}");
    ExitCode::from(EXIT_SETTINGS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_in_the_one_message() {
        let mut problems = Problems::new();
        assert_eq!(problems.parse::<u16>("--port / PORT", "eighty"), None);
        assert_eq!(problems.required::<String>("--database-url / DATABASE_URL", None), None);
        let message = problems.finish(Some(())).unwrap_err().to_string();
        assert!(message.contains("2 problems"), "{message}");
        assert!(message.contains("--port / PORT: \"eighty\": invalid digit"), "{message}");
        assert!(message.contains("--database-url / DATABASE_URL: is required"), "{message}");
    }
}
