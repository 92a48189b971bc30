//! Where things are, as they are printed at the end.

use std::fmt;

/// The services' and the databases' URLs.
pub(crate) struct Urls {
    pub(crate) write: String,
    pub(crate) read: String,
    pub(crate) capture: String,
    pub(crate) cards: String,
    /// Those of the booking sites.
    pub(crate) sites: Vec<String>,
    pub(crate) write_database: String,
    pub(crate) read_database: String,
}

impl fmt::Display for Urls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { write, read, capture, cards, sites, write_database, read_database } = self;
        writeln!(f, "GraphiQL        {read}/  in a browser; programs use {read}/graphql")?;
        writeln!(f, "Commands        {write}/docs  in a browser; for programs {write}/openapi.json")?;
        writeln!(f, "Health          {write}/readyz  {read}/readyz  {capture}/readyz")?;
        writeln!(f, "Metrics         {write}/metrics  {read}/metrics  {capture}/metrics")?;
        writeln!(f, "Third party     {cards}/v1/ledger  what it has charged and given back")?;
        let site = sites.first().map_or("", String::as_str);
        writeln!(f, "Booking site    {site}/v1/ledger  what it has been told")?;
        writeln!(f, "Inside Data     psql '{write_database}'")?;
        write!(f, "Views           psql '{read_database}'")
    }
}
