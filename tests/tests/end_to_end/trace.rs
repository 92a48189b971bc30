//! One trace from the HTTP command through the outbox row and Kafka to the view, as a collector sees it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use anyhow::Context;
use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use end_to_end::{PATIENCE, Pipeline, account};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::any_value::Value as Attribute,
};
use prost::Message;
use serde_json::json;
use servers::eventually;

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

/// A span as the collector got it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    service: String,
    name: String,
    id: Vec<u8>,
    parent: Vec<u8>,
    links: Vec<Vec<u8>>,
}

type Collected = Arc<Mutex<Vec<Span>>>;

#[tokio::test]
async fn one_trace_leads_from_the_command_to_the_view() -> anyhow::Result<()> {
    let collected = Collected::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let collector = Router::new().route("/v1/traces", post(collect)).with_state(collected.clone());
    let collector = tokio::spawn(async move { axum::serve(listener, collector).await });

    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let pipeline = Pipeline::start("trace", &settings).await?;
    let traceparent = format!("00-{TRACE_ID}-b7ad6b7169203331-01");
    let opened = pipeline.post("/accounts/accounts", &account("Meir 1"), &[("traceparent", &traceparent)]).await?;
    assert_eq!(opened.status, 201, "{opened:?}");
    let token = opened.read_after.context("no Read-After header")?;
    pipeline.query("{ __typename }", &json!({}), &[&token]).await?;

    // Kafka's headers name the trace,
    let topic = "hotel.accounts.account.v1";
    let records = pipeline.records_of(topic).await;
    let carried = records[0].header("traceparent").context("no traceparent")?;
    assert_eq!(carried.split('-').nth(1), Some(TRACE_ID));

    // and so do the spans of all three processes.
    let (create, send, process) = (format!("create {topic}"), format!("send {topic}"), format!("process {topic}"));
    let wanted: BTreeSet<(&str, &str)> = [
        ("write-service", "POST /accounts/accounts"),
        ("write-service", &create),
        ("cdc-capture", &send),
        ("read-service", &process),
        ("write-service", &process),
    ]
    .into();
    let spans = eventually("the spans of all processes", PATIENCE, async || {
        let spans = collected.lock().map_err(|error| error.to_string())?.clone();
        let named = |span: &Span| (span.service.clone(), span.name.replace(&pipeline.topic_prefix, ""));
        let found: BTreeSet<_> = spans.iter().map(named).collect();
        let missing: Vec<_> = wanted
            .iter()
            .filter(|(service, name)| !found.contains(&((*service).to_owned(), (*name).to_owned())))
            .collect();
        if missing.is_empty() { Ok(Some(spans)) } else { Err(format!("missing {missing:?}, found {found:?}")) }
    })
    .await;

    // The creation is the parent of what follows, and what Kafka carries.
    let creation = spans.iter().find(|span| span.name == create).context("no create span")?;
    let creation_id: String = creation.id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(carried.split('-').nth(2), Some(creation_id.as_str()));
    for span in spans.iter().filter(|span| span.name.starts_with("send ") || span.name.starts_with("process ")) {
        assert_eq!(span.parent, creation.id, "{span:?} is not a child of {creation:?}");
        assert_eq!(span.links, std::slice::from_ref(&creation.id), "{span:?} is not linked to {creation:?}");
    }
    collector.abort();
    Ok(())
}

/// Keeps the spans of the test's trace.
async fn collect(State(collected): State<Collected>, body: Bytes) -> Result<Vec<u8>, StatusCode> {
    let request = ExportTraceServiceRequest::decode(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let mut collected = collected.lock().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    for resource_spans in request.resource_spans {
        let attributes = resource_spans.resource.unwrap_or_default().attributes;
        let service = attributes.into_iter().find(|attribute| attribute.key == "service.name");
        let service = match service.and_then(|attribute| attribute.value).and_then(|value| value.value) {
            Some(Attribute::StringValue(name)) => name,
            _ => String::new(),
        };
        for span in resource_spans.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let trace_id: String = span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
            if trace_id == TRACE_ID {
                collected.push(Span {
                    service: service.clone(),
                    name: span.name,
                    id: span.span_id,
                    parent: span.parent_span_id,
                    links: span.links.into_iter().map(|link| link.span_id).collect(),
                });
            }
        }
    }
    Ok(ExportTraceServiceResponse::default().encode_to_vec())
}
