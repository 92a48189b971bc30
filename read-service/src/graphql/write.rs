//! Writing an answer as JSON, from PostgreSQL's binary form of records: no value is made in between.
//!
//! A record is a count, then for each column its type, its length and its bytes; an array is its dimensions, then for each
//! element its length and its bytes (`record_send` and `array_send` in PostgreSQL's source). Nothing is trusted: what is not as
//! it should be is an error.

use chrono::{DateTime, Datelike, Days, NaiveDate, Timelike, Utc};

use super::{
    model::Leaf,
    page::Place,
    parameters::Value,
    shape::{Edge, Fields, Info, PageShape, Part, Shape},
};

/// What was sent is not what the statement gives: a fault of this service.
#[derive(Debug, thiserror::Error)]
#[error("a record is not as expected: {0}")]
pub(super) struct Malformed(&'static str);

/// A column's bytes, or null.
pub(super) type Cell<'a> = Option<&'a [u8]>;

/// Writes a field.
pub(super) fn shape(shape: &Shape, cells: &[Cell<'_>], out: &mut Vec<u8>) -> Result<(), Malformed> {
    match shape {
        Shape::Typename(name) => text(name, out),
        Shape::Leaf(kind, place) => match cell(cells, *place)? {
            Some(bytes) => leaf(*kind, bytes, out)?,
            None => null(out),
        },
        Shape::GlobalId(ty, place) => match cell(cells, *place)? {
            Some(bytes) => text(&format!("{ty}:{}", utf8(bytes)?), out),
            None => null(out),
        },
        Shape::Part(inner) => fields(inner, cells, out)?,
        Shape::Row(place, inner) => match cell(cells, *place)? {
            Some(bytes) => fields(inner, &record(bytes)?, out)?,
            None => null(out),
        },
        Shape::Rows(place, inner) | Shape::Each(place, _, inner) => {
            let records = array(cell(cells, *place)?.unwrap_or_default())?;
            listed(&records, out, |record, out| fields(inner, record, out))?;
        }
        Shape::Page(place, inner) => page(inner, array(cell(cells, *place)?.unwrap_or_default())?, out)?,
    }
    Ok(())
}

/// Writes each record of a list by itself, with its id.
pub(super) fn each(
    (place, id, inner): (usize, usize, &Fields),
    cells: &[Cell<'_>],
) -> Result<Vec<(String, Vec<u8>)>, Malformed> {
    let records = array(cell(cells, place)?.unwrap_or_default())?;
    let written = records.iter().map(|record| {
        let id = utf8(cell(record, id)?.ok_or(Malformed("an id is null"))?)?.to_owned();
        let mut out = Vec::new();
        fields(inner, record, &mut out)?;
        Ok((id, out))
    });
    written.collect()
}

fn fields(fields: &Fields, cells: &[Cell<'_>], out: &mut Vec<u8>) -> Result<(), Malformed> {
    object(fields, out, |inner, out| shape(inner, cells, out))
}

fn object<T>(
    members: &[(String, T)],
    out: &mut Vec<u8>,
    mut write: impl FnMut(&T, &mut Vec<u8>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    out.push(b'{');
    for (place, (key, member)) in members.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(key.as_bytes());
        write(member, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn listed<T>(
    items: &[T],
    out: &mut Vec<u8>,
    mut write: impl FnMut(&T, &mut Vec<u8>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    out.push(b'[');
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write(item, out)?;
    }
    out.push(b']');
    Ok(())
}

fn page(shape: &PageShape, mut records: Vec<Vec<Cell<'_>>>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let page = &shape.page;
    let has_more = records.len() > page.size;
    records.truncate(page.size);
    if page.from_end {
        records.reverse();
    }
    let (has_previous, has_next) =
        if page.from_end { (has_more, page.before.is_some()) } else { (page.after.is_some(), has_more) };
    let cursor = |record: Option<&Vec<Cell<'_>>>, out: &mut Vec<u8>| match (record, shape.cursor) {
        (Some(record), Some(places)) => cursor(shape, record, places, out),
        _ => {
            null(out);
            Ok(())
        }
    };
    object(&shape.parts, out, |part, out| match part {
        Part::Nodes(inner) => listed(&records, out, |record, out| fields(inner, record, out)),
        Part::Edges(edge) => listed(&records, out, |record, out| {
            object(edge, out, |member, out| match member {
                Edge::Node(inner) => fields(inner, record, out),
                Edge::Cursor => cursor(Some(record), out),
                Edge::Typename(name) => {
                    text(name, out);
                    Ok(())
                }
            })
        }),
        Part::Info(info) => object(info, out, |member, out| {
            match member {
                Info::HasNext => boolean(has_next, out),
                Info::HasPrevious => boolean(has_previous, out),
                Info::Start => cursor(records.first(), out)?,
                Info::End => cursor(records.last(), out)?,
                Info::Typename => text("PageInfo", out),
            }
            Ok(())
        }),
        Part::Typename(name) => {
            text(name, out);
            Ok(())
        }
    })
}

fn cursor(
    shape: &PageShape,
    record: &[Cell<'_>],
    (value, id): (usize, usize),
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let absent = Malformed("a place in the list is null");
    let (value, id) = match (cell(record, value)?, cell(record, id)?) {
        (Some(value), Some(id)) => (value, utf8(id)?.to_owned()),
        _ => return Err(absent),
    };
    let value = match shape.leaf {
        Leaf::Date => Value::Date(day(value)?),
        Leaf::Instant => Value::Instant(instant(value)?),
        _ => Value::Text(utf8(value)?.to_owned()),
    };
    text(&Place { value, id }.cursor(&shape.order), out);
    Ok(())
}

fn leaf(kind: Leaf, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    match kind {
        Leaf::Id | Leaf::Text | Leaf::Enum(_) => text(utf8(bytes)?, out),
        Leaf::Int => number(i32::from_be_bytes(sized(bytes)?).into(), out),
        Leaf::Long => number(i64::from_be_bytes(sized(bytes)?), out),
        Leaf::Boolean => boolean(bytes == [1], out),
        Leaf::Date => {
            out.push(b'"');
            date(day(bytes)?, out);
            out.push(b'"');
        }
        Leaf::Instant => {
            let instant = instant(bytes)?;
            out.push(b'"');
            date(instant.date_naive(), out);
            out.push(b'T');
            time(&instant, out);
            out.extend_from_slice(b"Z\"");
        }
    }
    Ok(())
}

/// The cells of a record.
fn record(bytes: &[u8]) -> Result<Vec<Cell<'_>>, Malformed> {
    let mut rest = Bytes(bytes);
    let count = rest.int()?;
    let mut cells = Vec::with_capacity(usize::try_from(count).unwrap_or_default().min(256));
    for _ in 0..count {
        // The column's type.
        rest.int()?;
        cells.push(rest.cell()?);
    }
    Ok(cells)
}

/// The records of an array.
fn array(bytes: &[u8]) -> Result<Vec<Vec<Cell<'_>>>, Malformed> {
    let mut rest = Bytes(bytes);
    let dimensions = if bytes.is_empty() { 0 } else { rest.int()? };
    if dimensions == 0 {
        return Ok(Vec::new());
    }
    if dimensions != 1 {
        return Err(Malformed("an array of several dimensions"));
    }
    // Whether there are nulls, and the elements' type.
    rest.int()?;
    rest.int()?;
    let count = rest.int()?;
    // The first index.
    rest.int()?;
    (0..count).map(|_| record(rest.cell()?.ok_or(Malformed("a record that is null"))?)).collect()
}

/// What is left to be read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn int(&mut self) -> Result<i32, Malformed> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Malformed("it ends early"))?;
        self.0 = rest;
        Ok(i32::from_be_bytes(*head))
    }

    fn cell(&mut self) -> Result<Cell<'a>, Malformed> {
        let length = self.int()?;
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        let (cell, rest) = self.0.split_at_checked(length).ok_or(Malformed("it ends early"))?;
        self.0 = rest;
        Ok(Some(cell))
    }
}

fn cell<'a>(cells: &[Cell<'a>], place: usize) -> Result<Cell<'a>, Malformed> {
    cells.get(place).copied().ok_or(Malformed("a column is missing"))
}

fn utf8(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed("a text that is not UTF-8"))
}

fn sized<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Malformed> {
    bytes.try_into().map_err(|_| Malformed("a number of another size"))
}

/// PostgreSQL counts from 2000-01-01.
const EPOCH: NaiveDate = NaiveDate::from_ymd_opt(2000, 1, 1).expect("it is in the calendar");

fn day(bytes: &[u8]) -> Result<NaiveDate, Malformed> {
    let days = i32::from_be_bytes(sized(bytes)?);
    let distance = Days::new(days.unsigned_abs().into());
    let day = if days < 0 { EPOCH.checked_sub_days(distance) } else { EPOCH.checked_add_days(distance) };
    day.ok_or(Malformed("a day beyond the calendar"))
}

fn instant(bytes: &[u8]) -> Result<DateTime<Utc>, Malformed> {
    const SECONDS: i64 = 946_684_800;
    let micros = i64::from_be_bytes(sized(bytes)?).checked_add(SECONDS * 1_000_000);
    micros.and_then(DateTime::from_timestamp_micros).ok_or(Malformed("a moment beyond the calendar"))
}

/// Writes a text as a JSON string.
pub(super) fn text(text: &str, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

/// `2026-11-21`
fn date(day: NaiveDate, out: &mut Vec<u8>) {
    // PostgreSQL knows later years; the views do not.
    digits(day.year().unsigned_abs(), 4, out);
    out.push(b'-');
    digits(day.month(), 2, out);
    out.push(b'-');
    digits(day.day(), 2, out);
}

/// `09:30:00`, and the microseconds if there are any.
fn time(instant: &DateTime<Utc>, out: &mut Vec<u8>) {
    digits(instant.hour(), 2, out);
    out.push(b':');
    digits(instant.minute(), 2, out);
    out.push(b':');
    digits(instant.second(), 2, out);
    let micros = instant.timestamp_subsec_micros();
    if micros > 0 {
        out.push(b'.');
        digits(micros, 6, out);
    }
}

/// A number in so many digits.
fn digits(number: u32, count: u32, out: &mut Vec<u8>) {
    for place in (0..count).rev() {
        let digit = number / 10_u32.pow(place) % 10;
        out.push(b'0' + u8::try_from(digit).unwrap_or_default());
    }
}

fn number(number: i64, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, &number);
}

fn boolean(is: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if is { b"true" } else { b"false" });
}

fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(kind: Leaf, bytes: &[u8]) -> String {
        let mut out = Vec::new();
        leaf(kind, bytes, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_are_written_as_the_schema_says() {
        assert_eq!(written(Leaf::Date, &0_i32.to_be_bytes()), "\"2000-01-01\"");
        assert_eq!(written(Leaf::Date, &(-730_119_i32).to_be_bytes()), "\"0001-01-01\"");
        assert_eq!(written(Leaf::Instant, &1_i64.to_be_bytes()), "\"2000-01-01T00:00:00.000001Z\"");
        assert_eq!(written(Leaf::Instant, &(-1_000_000_i64).to_be_bytes()), "\"1999-12-31T23:59:59Z\"");
        assert_eq!(written(Leaf::Long, &i64::MIN.to_be_bytes()), i64::MIN.to_string());
        assert_eq!(written(Leaf::Text, "a\"\n".as_bytes()), r#""a\"\n""#);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = record(&bytes);
            let _ = array(&bytes);
        }
    }
}
