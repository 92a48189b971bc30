//! The root of all queries. Each field is one SQL statement, whatever is selected below it.

use async_graphql::{Context, ID, Object, Result};
use contracts::id::{AccountId, BookingId, RoomTypeId};

use super::{
    account::Account,
    booking::{Booking, Joins},
    bookings::BookingConnection,
    error::Error,
    filter::BookingFilter,
    freshness::{Awaited, Freshness},
    page::{Page, weight},
    room_type::RoomType,
    summary::BookingsSummary,
};
use crate::view::Connections;

/// What a summary counts for in a query's complexity: it reads every booking that its filter lets through.
const SUMMARY: usize = 500;

/// What can be asked.
///
/// Every field takes `readAfter`: tokens that commands have answered in their `Read-After` header. The field is then
/// answered once this view has what they name, or with the error `NOT_YET_VISIBLE` when that takes too long. The same
/// tokens may come in the query's own `Read-After` header, for all of its fields.
pub(crate) struct Query;

/// What can be asked.
///
/// Every field takes `readAfter`: tokens that commands have answered in their `Read-After` header. The field is then
/// answered once this view has what they name, or with the error `NOT_YET_VISIBLE` when that takes too long. The same
/// tokens may come in the query's own `Read-After` header, for all of its fields.
#[Object]
impl Query {
    /// The account with this id; null when there is none, or it has not arrived in this view yet.
    #[graphql(complexity = "1 + child_complexity")]
    async fn account(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Its id.")] id: ID,
        #[graphql(desc = "Answer only once these tokens are visible.")] read_after: Option<Vec<String>>,
    ) -> Result<Option<Account>> {
        let id = checked::<AccountId>(&id)?;
        let connections = visible(context, read_after).await?;
        Ok(Account::by_id(connections, id.as_str()).await.map_err(Error::from)?)
    }

    /// The room type with this id; null when there is none, or it has not arrived in this view yet.
    #[graphql(complexity = "1 + child_complexity")]
    async fn room_type(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Its id.")] id: ID,
        #[graphql(desc = "Answer only once these tokens are visible.")] read_after: Option<Vec<String>>,
    ) -> Result<Option<RoomType>> {
        let id = checked::<RoomTypeId>(&id)?;
        let connections = visible(context, read_after).await?;
        Ok(RoomType::by_id(connections, id.as_str()).await.map_err(Error::from)?)
    }

    /// The booking with this id; null when there is none, or it has not arrived in this view yet.
    #[graphql(complexity = "1 + child_complexity")]
    async fn booking(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Its id.")] id: ID,
        #[graphql(desc = "Answer only once these tokens are visible.")] read_after: Option<Vec<String>>,
    ) -> Result<Option<Booking>> {
        let id = checked::<BookingId>(&id)?;
        let connections = visible(context, read_after).await?;
        let joins = Joins::of(&[context.look_ahead()]);
        Ok(Booking::by_id(connections, id.as_str(), joins).await.map_err(Error::from)?)
    }

    /// The bookings, ordered by day of arrival, then id. Null only beside an error.
    #[graphql(complexity = "1 + child_complexity * weight(first, last)")]
    #[allow(clippy::too_many_arguments, reason = "a Relay connection has these")]
    async fn bookings(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The first so many: 1 to 100, 20 unless given.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<String>,
        #[graphql(desc = "Only those that fit this.")] filter: Option<BookingFilter>,
        #[graphql(desc = "Answer only once these tokens are visible.")] read_after: Option<Vec<String>>,
    ) -> Result<Option<BookingConnection>> {
        let page = Page::check(first, after.as_deref(), last, before.as_deref())?;
        let filter = filter.unwrap_or_default().check()?;
        let connections = visible(context, read_after).await?;
        let list = context.look_ahead();
        let joins = Joins::of(&[list.field("nodes"), list.field("edges").field("node")]);
        Ok(Some(BookingConnection::load(connections, &filter, &page, joins).await.map_err(Error::from)?))
    }

    /// Counts and sums of the bookings that fit the filter. Null only beside an error.
    #[graphql(complexity = "SUMMARY + child_complexity")]
    async fn bookings_summary(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only those that fit this.")] filter: Option<BookingFilter>,
        #[graphql(desc = "Answer only once these tokens are visible.")] read_after: Option<Vec<String>>,
    ) -> Result<Option<BookingsSummary>> {
        let filter = filter.unwrap_or_default().check()?;
        let connections = visible(context, read_after).await?;
        Ok(Some(BookingsSummary::load(connections, &filter).await.map_err(Error::from)?))
    }
}

fn checked<T: std::str::FromStr<Err: std::fmt::Display>>(id: &ID) -> Result<T, Error> {
    id.0.parse().map_err(|error| Error::input(format!("id: {error}")))
}

/// The connections, once what the tokens of the argument and of the request's header name is visible.
async fn visible<'a>(context: &Context<'a>, argument: Option<Vec<String>>) -> Result<&'a Connections> {
    let mut awaited = Awaited::read(argument.iter().flatten().map(String::as_str))?;
    awaited.extend(context.data::<Vec<Awaited>>().into_iter().flatten().cloned());
    if !awaited.is_empty() {
        context.data::<Freshness>()?.wait(&awaited).await?;
    }
    context.data()
}
