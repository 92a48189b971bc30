//! The GraphiQL page, with all that it needs: nothing is loaded from elsewhere.

use axum::{
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
};

use super::not_found;

/// Where the page's files are. The version is part of it, so that browsers may keep them.
pub(super) const ROUTE: &str = "/graphiql/3.9.0/{file}";

/// The page may load from here alone, and be framed by nobody. The editor sets styles on its elements.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE: &str = include_str!("../../assets/graphiql/index.html");

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

/// The page itself.
pub(super) fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::VARY, "Accept"),
    ];
    (headers, PAGE).into_response()
}

/// One of the page's files.
pub(super) async fn asset(Path(file): Path<String>) -> Response {
    let (content_type, content): (&str, &'static [u8]) = match file.as_str() {
        "graphiql.min.js" => (JAVASCRIPT, include_bytes!("../../assets/graphiql/graphiql.min.js")),
        "graphiql.min.css" => (CSS, include_bytes!("../../assets/graphiql/graphiql.min.css")),
        "react.production.min.js" => (JAVASCRIPT, include_bytes!("../../assets/graphiql/react.production.min.js")),
        "react-dom.production.min.js" => {
            (JAVASCRIPT, include_bytes!("../../assets/graphiql/react-dom.production.min.js"))
        }
        "start.js" => (JAVASCRIPT, include_bytes!("../../assets/graphiql/start.js")),
        "start.css" => (CSS, include_bytes!("../../assets/graphiql/start.css")),
        _ => return not_found(),
    };
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, content).into_response()
}
