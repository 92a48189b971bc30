//! GraphQL over HTTP, rule by rule, and the page for browsers.

use reqwest::{Method, Response, header};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Server, code};

const NEW: &str = "application/graphql-response+json; charset=utf-8";
const OLD: &str = "application/json; charset=utf-8";

fn content_type(response: &Response) -> &str {
    response.headers()[header::CONTENT_TYPE].to_str().unwrap()
}

async fn post(server: &Server, content_type: &str, accept: &str, body: impl Into<reqwest::Body>) -> Response {
    let request =
        server.http.post(server.url("/graphql")).header("content-type", content_type).header("accept", accept);
    request.body(body).send().await.unwrap()
}

#[tokio::test]
async fn the_media_type_is_the_clients_choice() {
    let server = Server::start("accept").await;
    for (accept, expected) in [
        ("application/graphql-response+json", NEW),
        ("application/graphql-response+json, application/json;q=0.9", NEW),
        ("application/json", OLD),
        ("application/json, multipart/mixed", OLD),
        ("*/*", OLD),
    ] {
        let response = post(&server, "application/json", accept, r#"{"query":"{ __typename }"}"#).await;
        assert_eq!((response.status().as_u16(), content_type(&response)), (200, expected), "{accept}");
        assert_eq!(response.headers()[header::VARY], "Accept");
        assert_eq!(response.text().await.unwrap(), r#"{"data":{"__typename":"Query"}}"#);
    }
    let response = post(&server, "application/json", "image/png", r#"{"query":"{ __typename }"}"#).await;
    assert_eq!(response.status(), 406);
}

/// The status of a well-formed request that fails: by the newer media type it tells what came of it, by the older one it
/// is 200.
#[tokio::test]
async fn the_status_is_by_the_media_types_rule() {
    let server = Server::start("status").await;
    for (body, expected) in [
        (json!({"query": "{"}), "GRAPHQL_PARSE_FAILED"),
        (json!({"query": "{ nonsense }"}), "GRAPHQL_VALIDATION_FAILED"),
        (json!({"query": "query A { __typename } query B { __typename }"}), "OPERATION_RESOLUTION_FAILURE"),
        (json!({"query": "query A { __typename }", "operationName": "B"}), "OPERATION_RESOLUTION_FAILURE"),
        (json!({"query": "{ bookings(first: -1) { nodes { bookingId } } }"}), "BAD_USER_INPUT"),
    ] {
        for (accept, status) in [("application/graphql-response+json", 400), ("application/json", 200)] {
            let response = post(&server, "application/json", accept, body.to_string()).await;
            assert_eq!(response.status(), status, "{body}");
            let answer: Value = response.json().await.unwrap();
            assert_eq!(code(&answer), expected);
            assert_eq!(answer.get("data"), None, "{answer}");
        }
    }
}

#[tokio::test]
async fn what_is_no_graphql_request_is_a_client_error_by_either_media_type() {
    let server = Server::start("malformed").await;
    let bodies: [&[u8]; 18] = [
        b"",
        b"{",
        b"nonsense",
        b"[]",
        br#"[{"query":"{ __typename }"}]"#,
        br#"["{ __typename }"]"#,
        b"{}",
        br#"{"query":1}"#,
        br#"{"query":null}"#,
        br#"{"query":"{ __typename }","variables":[]}"#,
        br#"{"query":"{ __typename }","variables":"{}"}"#,
        br#"{"query":"{ __typename }","operationName":1}"#,
        br#"{"query":"{ __typename }","extensions":1}"#,
        br#"{"query":"{ __typename }","extensions":[]}"#,
        br#"{"query":"{ __typename }","extensions":{"persistedQuery":[]}}"#,
        br#"{"extensions":{"persistedQuery":[1,"ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38"]}}"#,
        b"{\"query\":\"{ __typename }\xff\"}",
        b"\xff\xfe{\0}\0",
    ];
    for body in bodies {
        for (accept, expected) in [("application/graphql-response+json", NEW), ("application/json", OLD)] {
            let response = post(&server, "application/json", accept, body.to_vec()).await;
            assert_eq!((response.status().as_u16(), content_type(&response)), (400, expected), "{body:?}");
            assert_eq!(code(&response.json().await.unwrap()), "BAD_REQUEST");
        }
    }
    let nested = format!(r#"{{"query":"{{ __typename }}","variables":{{"a":{}"#, "[".repeat(100_000));
    assert_eq!(post(&server, "application/json", "*/*", nested).await.status(), 400);
}

#[tokio::test]
async fn null_and_unknown_members_are_as_if_they_were_not_there() {
    let server = Server::start("members").await;
    let body =
        json!({"query": "{ __typename }", "variables": null, "operationName": null, "extensions": null, "id": 7});
    assert_eq!(post(&server, "application/json", "*/*", body.to_string()).await.status(), 200);
    let body = json!({"query": "{ __typename }", "variables": {"unused": [1, {"a": null}]}, "operationName": ""});
    assert_eq!(post(&server, "application/json", "*/*", body.to_string()).await.status(), 200);
}

#[tokio::test]
async fn only_json_in_utf_8_is_taken() {
    let server = Server::start("content type").await;
    let body = r#"{"query":"{ __typename }"}"#;
    for taken in ["application/json", "Application/JSON; charset=utf-8", "application/json;charset=\"UTF-8\""] {
        assert_eq!(post(&server, taken, "*/*", body).await.status(), 200, "{taken}");
    }
    for refused in [
        "text/plain",
        "application/graphql",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/jsonp",
        "",
    ] {
        assert_eq!(post(&server, refused, "*/*", body).await.status(), 415, "{refused}");
    }
    let without = server.http.post(server.url("/graphql")).body(body).send().await.unwrap();
    assert_eq!(without.status(), 415);
}

#[tokio::test]
async fn a_body_that_is_encoded_is_not_taken() {
    let server = Server::start("content encoding").await;
    let post = async |encoding: &str| {
        let request = server.http.post(server.url("/graphql")).header("content-type", "application/json");
        request.header("content-encoding", encoding).body(r#"{"query":"{ __typename }"}"#).send().await.unwrap()
    };
    for encoding in ["gzip", "br", "identity, gzip", "nonsense"] {
        let refused = post(encoding).await;
        assert_eq!(refused.status(), 415, "{encoding}");
        assert_eq!(refused.headers()[header::ACCEPT_ENCODING], "identity");
    }
    assert_eq!(post("Identity").await.status(), 200);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let server = Server::start("large body").await;
    let fits = format!(r#"{{"query":"{{ __typename }}","variables":{{"a":"{}"}}}}"#, "x".repeat(1_000_000));
    assert_eq!(post(&server, "application/json", "*/*", fits).await.status(), 200);
    let response = post(&server, "application/json", "*/*", vec![b'x'; 10 * 1024 * 1024]).await;
    assert_eq!(response.status(), 413);
    assert_eq!(code(&response.json().await.unwrap()), "BAD_REQUEST");
}

#[tokio::test]
async fn a_query_may_come_by_get() {
    let server = Server::start("get").await;
    let get = async |path: &str| {
        let response = server.http.get(server.url(path)).header("accept", "application/json").send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let typename = json!({"data": {"__typename": "Query"}});
    assert_eq!(get("/graphql?query=%7B__typename%7D").await, (200, typename.clone()));
    let named = "/graphql?query=query+A%7B__typename%7D+query+B%7Bx:__typename%7D&operationName=A";
    assert_eq!(get(named).await, (200, typename));
    let variables = "/graphql?query=query(%24id:ID!)%7Bbooking(id:%24id)%7Bid%7D%7D&variables=%7B%22id%22:%227%22%7D";
    assert_eq!(get(variables).await, (200, json!({"data": {"booking": null}})));
    for malformed in [
        "/graphql",
        "/graphql?query=",
        "/graphql?query=%7B__typename%7D&variables=nonsense",
        "/graphql?query=%7B__typename%7D&variables=[]",
        "/graphql?query=%7B__typename%7D&extensions=[]",
        "/graphql?query=%7B__typename%7D&query=%7B__typename%7D",
        "/graphql?query=%ff",
        "/graphql?query=%7B__typename%7",
    ] {
        assert_eq!(get(malformed).await.0, 400, "{malformed}");
    }
}

#[tokio::test]
async fn other_methods_and_mutations_by_get_are_not_allowed() {
    let server = Server::start("methods").await;
    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let response = server.http.request(method.clone(), server.url("/graphql")).send().await.unwrap();
        assert_eq!(response.status(), 405, "{method}");
        assert_eq!(response.headers()[header::ALLOW], "GET, HEAD, POST");
    }
    for accept in ["application/json", "application/graphql-response+json"] {
        let url = server.url("/graphql?query=mutation%7Berase%7D");
        let response = server.http.get(url).header("accept", accept).send().await.unwrap();
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()[header::ALLOW], "GET, HEAD, POST");
    }
    let head = server.http.head(server.url("/graphql?query=%7B__typename%7D")).send().await.unwrap();
    assert_eq!(head.status(), 200);
}

#[tokio::test]
async fn a_browser_gets_a_page_that_loads_everything_from_here() {
    let server = Server::start("page").await;
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for path in ["/", "/graphql"] {
        let page = server.http.get(server.url(path)).header("accept", browser).send().await.unwrap();
        assert_eq!((page.status().as_u16(), content_type(&page)), (200, "text/html; charset=utf-8"));
        assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
        let html = page.text().await.unwrap();
        assert!(!html.contains("//"), "something is loaded from elsewhere");
        let files: Vec<_> = html.split(['"']).filter(|part| part.starts_with("/graphiql/")).collect();
        assert_eq!(files.len(), 6);
        for file in files {
            let file = server.get(file).await;
            assert_eq!(file.status(), 200);
            assert!(file.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
            let text = file.text().await.unwrap();
            assert!(!text.contains("sourceMappingURL"), "a browser's tools would look for a file that is not there");
        }
    }
    assert_eq!(server.get("/graphiql/3.9.0/../../secret").await.status(), 404);
    assert_eq!(server.get("/graphiql/3.9.0/nothing").await.status(), 404);
    assert_eq!(server.get("/nothing").await.status(), 404);
}

/// Given a client that names a length and sends no body, when it hangs up, then nothing has broken.
#[tokio::test]
async fn a_client_that_hangs_up_midway_disturbs_nobody() {
    let server = Server::start("hang up").await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    server.data("{ __typename }").await;
}
