//! Structured logs on standard error, and spans to an OTLP collector where one is configured.

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::settings::Problems;

const OTLP_ENDPOINT: &str = "--otlp-endpoint / OTEL_EXPORTER_OTLP_ENDPOINT";

/// Flags for logs and traces; flatten them into a service's own.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Logs and traces")]
pub struct LogArgs {
    /// How log lines look.
    #[arg(long, env = "LOG_FORMAT", default_value = "text", value_name = "text|json")]
    pub log_format: String,

    /// What is logged, as `level` or `target=level,…`.
    #[arg(long, env = "RUST_LOG", default_value = "info", value_name = "FILTER")]
    pub log_filter: String,

    /// Where spans go by OTLP over HTTP, such as `http://localhost:4318`. Unset: nowhere, but trace ids travel all the same.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
}

impl LogArgs {
    /// Where spans go; an empty variable is an unset one.
    pub fn otlp_endpoint(&self) -> Option<&str> {
        self.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty())
    }

    /// Checks the flags, noting each problem.
    pub fn check(&self, problems: &mut Problems) {
        if !["text", "json"].contains(&self.log_format.as_str()) {
            problems.add("--log-format / LOG_FORMAT", format!("expected text or json, found {:?}", self.log_format));
        }
        problems.parse::<EnvFilter>("--log-filter / RUST_LOG", &self.log_filter);
        if let Some(endpoint) = self.otlp_endpoint() {
            match url::Url::parse(endpoint) {
                Ok(url) if ["http", "https"].contains(&url.scheme()) => {}
                Ok(_) => problems.add(OTLP_ENDPOINT, "expected http:// or https://"),
                Err(error) => problems.add(OTLP_ENDPOINT, error),
            }
        }
    }
}

/// Flushes what is left to export when it is dropped, for at most a few seconds.
pub struct Guard {
    provider: SdkTracerProvider,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Nothing is left to report to: a span that cannot be delivered at exit is lost.
        let _ = self.provider.shutdown_with_timeout(std::time::Duration::from_secs(3));
    }
}

/// Sets up logs and traces for this process, once. Keep the guard until the end.
///
/// # Errors
/// When a flag's value cannot be used, which [`LogArgs::check`] would have told.
pub fn init(service: &'static str, args: &LogArgs) -> Result<Guard, Box<dyn std::error::Error + Send + Sync>> {
    let resource = Resource::builder().with_service_name(service).build();
    let mut provider = SdkTracerProvider::builder().with_resource(resource);
    if let Some(endpoint) = args.otlp_endpoint() {
        provider = provider.with_batch_exporter(exporter(endpoint)?);
    }
    let provider = provider.build();

    let filter = EnvFilter::try_new(&args.log_filter)?;
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match args.log_format.as_str() {
        "json" => lines.json().boxed(),
        _ => lines.with_target(false).boxed(),
    };
    // Spans are made for the trace whatever is logged, but not those of libraries. Those at debug level only tell where time
    // goes: they are made where somebody will see them.
    let is_seen = args.otlp_endpoint().is_some();
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(service))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        // What is current is asked of `tracing` alone.
        .with_context_activation(false)
        .with_filter(tracing_subscriber::filter::filter_fn(move |metadata| {
            let level = *metadata.level();
            let is_ours = metadata.fields().field("otel.name").is_some();
            metadata.is_span() && (level <= LevelFilter::INFO || is_seen && is_ours && level <= LevelFilter::DEBUG)
        }));
    // A second call in one process, as in tests, keeps what the first has set up.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).try_init();
    Ok(Guard { provider })
}

fn exporter(endpoint: &str) -> Result<opentelemetry_otlp::SpanExporter, opentelemetry_otlp::ExporterBuildError> {
    use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
    let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(url).build()
}
