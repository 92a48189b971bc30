//! Everything that the demo runs, started in the order in which each needs the other and stopped in the reverse.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use servers::{Postgres, PostgresOptions};
use telemetry::{CancellationToken, health::Health, metrics::Metrics};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{broker::Broker, databases::Databases, millis::millis, settings::Settings, urls::Urls};

/// How long everything may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many booking sites there are to be connected.
pub(crate) const SITES: usize = 4;

/// What runs. What it made goes when it is stopped: databases, logins, slot, and the servers that it started.
pub(crate) struct Stack {
    pub(crate) urls: Urls,
    services: JoinSet<anyhow::Result<()>>,
    shutdown: CancellationToken,
    // In the order in which they may go: each is used by those before it.
    _databases: Databases,
    _broker: Broker,
    _postgres: Option<Postgres>,
}

impl Stack {
    /// Starts all of it and waits until all of it is ready.
    ///
    /// # Errors
    /// When something cannot start, or is not ready in time; says what.
    pub(crate) async fn start(settings: &Settings, shutdown: CancellationToken) -> anyhow::Result<Self> {
        let start = Instant::now();
        let step = |what: &str| println!("  {:>10}  {what}", millis(start.elapsed()));
        println!("Starting");

        let write_listener = listen("the write service", settings.write_listen).await?;
        let read_listener = listen("the read service", settings.read_listen).await?;
        let capture_listener = listen("the capture", settings.capture_listen).await?;
        let card_listener = TcpListener::bind("127.0.0.1:0").await.context("the card processor cannot listen")?;
        let mut sites = Vec::with_capacity(SITES);
        for _ in 0..SITES {
            sites.push(TcpListener::bind("127.0.0.1:0").await.context("a booking site cannot listen")?);
        }

        let postgres = match &settings.database {
            Some(_) => None,
            None => Some(Postgres::start(PostgresOptions::default()).await.context("PostgreSQL does not start")?),
        };
        let admin_url = match (&settings.database, &postgres) {
            (Some(url), _) => url.clone(),
            (None, Some(postgres)) => postgres.url("postgres"),
            (None, None) => bail!("no PostgreSQL"),
        };
        step(if postgres.is_some() { "PostgreSQL answers" } else { "PostgreSQL is the one you named" });
        let databases = Databases::create(&admin_url).await?;
        step("schemas, roles, publication and slot are there");
        let broker = match &settings.kafka {
            Some(servers) => Broker::at(servers, databases.name()),
            None => Broker::in_memory()?,
        };
        step(if settings.kafka.is_some() { "Kafka is the one you named" } else { "a broker in memory answers" });

        let urls = Urls {
            write: format!("http://{}", write_listener.local_addr()?),
            read: format!("http://{}", read_listener.local_addr()?),
            capture: format!("http://{}", capture_listener.local_addr()?),
            cards: format!("http://{}", card_listener.local_addr()?),
            sites: sites
                .iter()
                .map(|site| Ok(format!("http://{}", site.local_addr()?)))
                .collect::<anyhow::Result<_>>()?,
            write_database: databases.write.url(),
            read_database: databases.read.url(),
        };
        let write = databases.write_settings(broker.kafka.clone(), &urls.cards, settings.traced)?;
        let capture = databases.capture_settings(broker.kafka.clone(), settings.traced)?;
        let read = databases.read_settings(broker.kafka.clone(), settings.traced)?;
        let health = [Health::new(), Health::new(), Health::new()];
        let [of_write, of_capture, of_read] = health.clone();
        let mut services = JoinSet::new();
        let [stop_write, stop_capture, stop_read, stop_cards] = [(); 4].map(|()| shutdown.clone());
        services.spawn(async move {
            Ok(card_processor::serve(card_processor::Settings::default(), card_listener, stop_cards).await?)
        });
        for site in sites {
            let stop = shutdown.clone();
            services.spawn(async move { Ok(aggregator_site::serve(site, stop).await?) });
        }
        services.spawn(async move {
            Ok(write_service::serve(write, write_listener, of_write, Metrics::new(), stop_write).await?)
        });
        services.spawn(async move {
            Ok(cdc_capture::serve(capture, capture_listener, of_capture, Metrics::new(), stop_capture).await?)
        });
        services.spawn(async move {
            Ok(read_service::serve(read, read_listener, of_read, Metrics::new(), stop_read).await?)
        });
        let mut stack = Self { urls, services, shutdown, _databases: databases, _broker: broker, _postgres: postgres };

        let ready = async {
            for service in &health {
                service.until_ready().await;
            }
        };
        tokio::select! {
            ready = tokio::time::timeout(PATIENCE, ready) => if ready.is_err() {
                let reports = health.each_ref().map(|health| serde_json::to_string(&health.report()).unwrap_or_default());
                bail!("not ready after {} s: {}", PATIENCE.as_secs(), reports.join(" "));
            },
            Some(ended) = stack.services.join_next() => {
                ended.context("a service panicked")??;
                bail!("a service ended before its time");
            }
        }
        step("write service, capture and read service are ready");
        Ok(stack)
    }

    /// Stops the services, then what they used.
    ///
    /// # Errors
    /// A service's own.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        while let Some(ended) = self.services.join_next().await {
            ended.context("a service panicked")??;
        }
        Ok(())
    }
}

/// Listens on the address; where that is taken, on a free port beside it.
async fn listen(what: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            println!("  {address} is taken; {what} gets another port");
            TcpListener::bind((address.ip(), 0)).await.with_context(|| format!("{what} cannot listen"))
        }
        bound => bound.with_context(|| format!("{what} cannot listen on {address}")),
    }
}
