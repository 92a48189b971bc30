//! Reading one's own writes: waiting until what a `Read-After` token names is where the answer comes from.

use std::{str::FromStr, time::Duration};

use contracts::ReadAfter;
use inbox::Seen;
use tokio::time::Instant;
use tokio_postgres::Row;

use super::{
    compile::Compiled,
    error::{Code, Error},
    parameters::{Parameters, Value},
};
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

/// A longer statement is not looked with: each look in vain begins all of it, though it ends it at once.
pub(super) const LONGEST_LOOK: usize = 4096;

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

    /// The condition that this version, or a higher one, is visible there.
    fn is_visible(&self, place: Place, parameters: &mut Parameters) -> String {
        let subject = parameters.add(Value::Text(self.subject.clone()));
        let version = parameters.add(Value::Long(self.version));
        match place {
            Place::View => {
                format!("EXISTS (SELECT FROM view.{} WHERE id = {subject} AND version >= {version})", self.view.table())
            }
            // What it keeps no longer it does not have.
            Place::Journal => {
                let topic = parameters.add(Value::Text(self.view.topic().name.to_owned()));
                format!(
                    "EXISTS (SELECT FROM view.event WHERE subject = {subject} AND version >= {version} AND topic = {topic})"
                )
            }
        }
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
        let mut parameters = Parameters::default();
        let summary = match place {
            Place::View => "SELECT view version",
            Place::Journal => "SELECT view.event version",
        };
        let sql = Sql {
            summary,
            text: format!("SELECT {}", awaited.is_visible(place, &mut parameters)),
            parameters: parameters.types(),
        };
        let is_visible = |row: &Row| row.try_get(0).unwrap_or(false);
        if self.look(awaited, place, deadline, &sql, &parameters, is_visible).await?.is_some() {
            return Ok(());
        }
        let message = format!("version {} of {} is not visible yet; try again", awaited.version, awaited.subject);
        Err(Error::new(Code::NotYetVisible, message))
    }

    /// The row that answers an operation, from when on what is awaited is visible there; none when it is not by the deadline. It is
    /// looked for by the operation's own statement, so that waiting takes no statement more, and what is found is of one moment.
    pub(super) async fn answer(
        &self,
        compiled: &Compiled,
        text: &str,
        (awaited, place): (&Awaited, Place),
        deadline: Instant,
    ) -> Result<Option<Row>, view::Error> {
        let mut parameters = compiled.parameters.clone();
        let sql = Sql {
            summary: compiled.summary,
            text: format!("{text} WHERE {}", awaited.is_visible(place, &mut parameters)),
            parameters: parameters.types(),
        };
        self.look(awaited, place, deadline, &sql, &parameters, |_| true).await
    }

    /// The row of a statement that is looked for until it says that what is awaited is visible.
    async fn look(
        &self,
        awaited: &Awaited,
        place: Place,
        deadline: Instant,
        sql: &Sql,
        parameters: &Parameters,
        is_visible: impl Fn(&Row) -> bool,
    ) -> Result<Option<Row>, view::Error> {
        let filled_by = match place {
            Place::View => awaited.view.table(),
            Place::Journal => JOURNAL,
        };
        let look = async || {
            let rows = self.connections.query(sql, &parameters.values()).await?;
            Ok(rows.into_iter().next().filter(&is_visible).map_or(Seen::NotYet(None), |row| Seen::Final(Some(row))))
        };
        self.commits.of(filled_by).look_until(deadline, look).await
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
