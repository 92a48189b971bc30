//! Reading one's own writes: waiting until what a `Read-After` token names is where the answer comes from.

use std::{str::FromStr, time::Duration};

use contracts::ReadAfter;
use tokio::time::Instant;
use tokio_postgres::types::Type;

use super::error::{Code, Error};
use crate::{
    live::Commits,
    projection::JOURNAL,
    view::{self, Connections, Sql, View},
};

/// More tokens than anybody has use for in one query.
pub(super) const MOST_TOKENS: usize = 16;

/// Where something is to be visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    /// In the view of the aggregate.
    View,
    /// In the journal, which another process may fill, and later.
    Journal,
}

/// Whether the journal has an event that made this version or a higher one. What it keeps no longer it does not have.
const IS_TOLD: &str = "SELECT EXISTS (SELECT FROM view.event WHERE subject = $1 AND version >= $2 AND topic = $3)";

/// What is to be visible before a query is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    view: View,
    subject: String,
    version: i64,
}

impl Awaited {
    /// Reads tokens; each text may hold several, separated by commas.
    ///
    /// # Errors
    /// When one of them is no token, or there is no view of what it names.
    pub fn read<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<Self>, Error> {
        let tokens =
            texts.into_iter().flat_map(|text| text.split(',')).map(str::trim).filter(|token| !token.is_empty());
        let mut awaited = Vec::new();
        for token in tokens {
            let token = ReadAfter::from_str(token).map_err(|error| Error::input(format!("readAfter: {error}")))?;
            let view = View::of_topic(&token.topic)
                .ok_or_else(|| Error::input("readAfter: there is no view of what this token names"))?;
            if token.subject.contains('\0') {
                return Err(Error::input("readAfter: no aggregate has this id"));
            }
            if awaited.len() == MOST_TOKENS {
                return Err(Error::input(format!("readAfter: more than {MOST_TOKENS} tokens")));
            }
            awaited.push(Self { view, subject: token.subject, version: token.version.get() });
        }
        Ok(awaited)
    }
}

/// Waits for the views.
#[derive(Clone)]
pub struct Freshness {
    connections: Connections,
    commits: Commits,
    limit: Duration,
}

impl Freshness {
    /// Waits at most `limit`, looking after the commits of what fills them.
    pub fn new(connections: Connections, commits: Commits, limit: Duration) -> Self {
        Self { connections, commits, limit }
    }

    /// Until when an operation waits that begins now.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.limit
    }

    /// Waits until it is visible there.
    pub(super) async fn wait(&self, awaited: &Awaited, place: Place, deadline: Instant) -> Result<(), Error> {
        let filled_by = match place {
            Place::View => awaited.view.table(),
            Place::Journal => JOURNAL,
        };
        if self.commits.of(filled_by).wait_until(deadline, || self.is_visible(awaited, place)).await? {
            return Ok(());
        }
        let message = format!("version {} of {} is not visible yet; try again", awaited.version, awaited.subject);
        Err(Error::new(Code::NotYetVisible, message))
    }

    async fn is_visible(
        &self,
        Awaited { view, subject, version }: &Awaited,
        place: Place,
    ) -> Result<bool, view::Error> {
        let statement = |summary, text: &str, parameters| Sql { summary, text: text.to_owned(), parameters };
        let rows = match place {
            Place::View => {
                let sql = statement("SELECT view version", view.has_reached(), vec![Type::TEXT, Type::INT8]);
                self.connections.query(&sql, &[subject, version]).await?
            }
            Place::Journal => {
                let sql = statement("SELECT view.event version", IS_TOLD, vec![Type::TEXT, Type::INT8, Type::TEXT]);
                self.connections.query(&sql, &[subject, version, &view.topic().name]).await?
            }
        };
        let row = rows.first().ok_or_else(|| view::Error::Failed("EXISTS gave no row".to_owned()))?;
        row.try_get(0).map_err(|error| view::Error::Failed(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(topic: &str) -> String {
        ReadAfter { topic: topic.to_owned(), subject: "7".to_owned(), version: 3.try_into().unwrap() }.to_string()
    }

    #[test]
    fn several_tokens_may_come_in_one_text() {
        let text = format!("{}, {},", token("hotel.accounts.account.v1"), token("hotel.direct-booking.booking.v1"));
        let views: Vec<_> = Awaited::read([text.as_str()]).unwrap().into_iter().map(|awaited| awaited.view).collect();
        assert_eq!(views, [View::Account, View::Booking]);
    }

    #[test]
    fn what_names_nothing_is_refused() {
        let many = vec![token("hotel.accounts.account.v1"); 17].join(",");
        for text in ["nonsense", &token("hotel.accounts.card-details.v1"), &many] {
            assert_eq!(Awaited::read([text]).unwrap_err().code, Code::BadUserInput, "{text}");
        }
    }
}
