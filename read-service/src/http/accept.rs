//! Which media type the client wants (RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, header};

/// What `/graphql` can answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/json`: the older of the two, where a request that is well-formed is answered 200 whatever comes of it.
    Json,
    /// `application/graphql-response+json`, where the status says what came of the request.
    GraphQl,
    /// `text/event-stream`: the answer comes in parts.
    EventStream,
    /// The GraphiQL page.
    Html,
}

impl Media {
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Json => ("application", "json"),
            Self::GraphQl => ("application", "graphql-response+json"),
            Self::EventStream => ("text", "event-stream"),
            Self::Html => ("text", "html"),
        }
    }
}

/// How well a range fits, from `*/*` to the type itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Any,
    Main,
    Exact,
}

struct Range<'a> {
    main: &'a str,
    sub: &'a str,
    /// In thousandths.
    quality: u16,
}

impl<'a> Range<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (main, sub) = parts.next()?.split_once('/')?;
        let weight = parts.find_map(|parameter| parameter.strip_prefix("q=").or(parameter.strip_prefix("Q=")));
        let quality = match weight {
            None => 1000,
            // 0 to 1 with at most three decimals, so rounding is exact.
            Some(weight) => {
                weight.parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q)).map(|q| (q * 1000.0) as u16)?
            }
        };
        Some(Self { main, sub, quality })
    }

    fn fit(&self, media: Media) -> Option<Fit> {
        let (main, sub) = media.names();
        match (self.main, self.sub) {
            ("*", "*") => Some(Fit::Any),
            (range, "*") if range.eq_ignore_ascii_case(main) => Some(Fit::Main),
            (range, subrange) if range.eq_ignore_ascii_case(main) && subrange.eq_ignore_ascii_case(sub) => {
                Some(Fit::Exact)
            }
            _ => None,
        }
    }
}

/// The offer that the client likes best: by quality, then by how exactly it was named, then by its own order; the first
/// offer when the client does not say. `None` when it likes none of them.
pub(super) fn choose(headers: &HeaderMap, offers: &[Media]) -> Option<Media> {
    let lines: Vec<_> = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok()).collect();
    let ranges: Vec<_> =
        lines.iter().flat_map(|line| line.split(',')).filter_map(|range| Range::read(range.trim())).collect();
    if lines.iter().all(|line| line.trim().is_empty()) {
        return offers.first().copied();
    }
    let liking = |media: Media| {
        let fits = ranges.iter().enumerate().filter_map(|(at, range)| Some((range.fit(media)?, at, range.quality)));
        // The most exact range decides, also when it says that the type is not wanted.
        let (fit, at, quality) = fits.max_by_key(|(fit, at, _)| (*fit, std::cmp::Reverse(*at)))?;
        (quality > 0).then_some((quality, fit, std::cmp::Reverse(at)))
    };
    let liked = offers
        .iter()
        .enumerate()
        .filter_map(|(place, media)| Some(((liking(*media)?, std::cmp::Reverse(place)), *media)));
    liked.max_by_key(|(liking, _)| *liking).map(|(_, media)| media)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &[&str]) -> Option<Media> {
        let mut headers = HeaderMap::new();
        for line in accept {
            headers.append(header::ACCEPT, line.parse().unwrap());
        }
        choose(&headers, &[Media::Json, Media::GraphQl, Media::Html])
    }

    #[test]
    fn json_unless_it_is_said() {
        for accept in [&[][..], &[""], &["*/*"], &["application/*"], &["application/json"]] {
            assert_eq!(chosen(accept), Some(Media::Json), "{accept:?}");
        }
    }

    #[test]
    fn what_is_named_wins_over_what_is_only_allowed() {
        assert_eq!(chosen(&["application/graphql-response+json, */*"]), Some(Media::GraphQl));
        assert_eq!(chosen(&["*/*, application/graphql-response+json"]), Some(Media::GraphQl));
        assert_eq!(chosen(&["application/json;q=0.9", "Application/GraphQL-Response+JSON"]), Some(Media::GraphQl));
        assert_eq!(chosen(&["application/graphql-response+json;q=0.5, application/json;q=0.6"]), Some(Media::Json));
        assert_eq!(chosen(&["application/json; charset=utf-8; q=0.2, text/html;q=0.1"]), Some(Media::Json));
        assert_eq!(chosen(&["application/graphql-response+json, application/json"]), Some(Media::GraphQl));
    }

    #[test]
    fn a_browser_gets_the_page() {
        assert_eq!(chosen(&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"]), Some(Media::Html));
    }

    #[test]
    fn what_is_not_wanted_is_not_sent() {
        assert_eq!(chosen(&["image/png"]), None);
        assert_eq!(chosen(&["application/json;q=0, */*"]), Some(Media::GraphQl));
        assert_eq!(chosen(&["*/*;q=0"]), None);
        assert_eq!(chosen(&["nonsense"]), None);
    }
}
