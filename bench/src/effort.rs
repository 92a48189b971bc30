//! How much is measured, whatever it is.

use clap::builder::FalseyValueParser;

/// How much is measured.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Effort {
    /// How often each figure is measured; the median counts.
    #[arg(long, env = "RUNS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,

    /// For a moment, once: whether it works, not how fast.
    #[arg(long, env = "QUICK", value_parser = FalseyValueParser::new())]
    pub(crate) quick: bool,
}

impl Effort {
    /// How often each figure is measured.
    pub(crate) fn runs(self) -> u32 {
        if self.quick { 1 } else { self.runs }
    }
}

/// Says on stderr what is going on.
pub(crate) fn progress(what: impl std::fmt::Display) {
    eprintln!("bench: {what}");
}
