//! A site's HTTP API. Whatever is said is said with its revision and as it is now, so that saying it twice does no harm.
//!
//! - `PUT {url}/availability/{roomTypeId}` with `{"nights": [{"night", "available", "revision"}]}`: how many rooms of the type the
//!   site may sell for each of these nights. The site leaves out what is of a lower revision than it has.
//! - `PUT {url}/bookings/{reference}` with `{"status", "bookingId", "revision"}`: what became of a booking that it has sold.

use reqwest::{Client, StatusCode, Url};
use serde_json::{Value, json};

use super::notices::{NightSaid, Saying};
use crate::third_party::http::{Unknown, ask, client};

/// Speaks to sites.
#[derive(Clone)]
pub(crate) struct SiteApi(Client);

/// What a site answers, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It knows now.
    Told,
    /// It does not take it, and will not.
    Refused(StatusCode),
}

impl SiteApi {
    /// Speaks to any site.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        Ok(Self(client()?))
    }

    /// Tells the site at this address.
    pub(crate) async fn tell(&self, url: &Url, saying: &Saying) -> Result<Verdict, Unknown> {
        let (path, body) = message(saying);
        let (status, _) = ask(self.0.put(below(url, path)?).json(&body)).await?;
        judge(status)
    }
}

fn message(saying: &Saying) -> ([&str; 2], Value) {
    match saying {
        Saying::Nights { room_type_id, nights } => {
            let night = |NightSaid { night, available, revision }: &NightSaid| json!({"night": night, "available": available, "revision": revision});
            (["availability", room_type_id], json!({"nights": nights.iter().map(night).collect::<Vec<_>>()}))
        }
        Saying::Booking { reference, booking_id, status, version } => {
            (["bookings", reference], json!({"status": status, "bookingId": booking_id, "revision": version}))
        }
    }
}

/// The path below an address; what else the address says, such as a key in its query, stays.
fn below(url: &Url, path: [&str; 2]) -> Result<Url, Unknown> {
    let mut url = url.clone();
    url.path_segments_mut().map_err(|()| Unknown("its address has no path".to_owned()))?.pop_if_empty().extend(path);
    Ok(url)
}

/// What an answer means.
fn judge(status: StatusCode) -> Result<Verdict, Unknown> {
    let may_pass =
        [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    match status {
        _ if status.is_success() => Ok(Verdict::Told),
        _ if status.is_client_error() && !may_pass => Ok(Verdict::Refused(status)),
        _ => Err(Unknown(format!("it answered {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_definite_is_taken_for_an_answer() {
        let judged = |status: u16| judge(StatusCode::from_u16(status).unwrap());
        for status in [200, 201, 202, 204] {
            assert_eq!(judged(status), Ok(Verdict::Told));
        }
        for status in [400, 401, 403, 404, 409, 410, 422] {
            assert!(matches!(judged(status), Ok(Verdict::Refused(_))), "{status}");
        }
        for status in [301, 302, 304, 408, 425, 429, 500, 502, 503, 504] {
            assert!(judged(status).is_err(), "{status}");
        }
    }

    #[test]
    fn a_path_goes_below_the_address_and_its_query_stays() {
        let at = |url: &str, path| below(&url.parse().unwrap(), path).unwrap().to_string();
        let path = ["availability", "double"];
        for url in ["https://expo.example/api", "https://expo.example/api/"] {
            assert_eq!(at(url, path), "https://expo.example/api/availability/double");
        }
        assert_eq!(at("http://expo.example", path), "http://expo.example/availability/double");
        assert_eq!(at("http://expo.example/?key=k", ["bookings", "X 1"]), "http://expo.example/bookings/X%201?key=k");
    }
}
