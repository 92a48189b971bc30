//! Runs a set of contexts in one process: their routes, their reactors, and the watch over what they depend on.

use std::sync::Arc;

use auth::Auth;
use contracts::Topic;
use inbox::{Applied, Intake};
use telemetry::{CancellationToken, admin, health::Health, metrics::Metrics};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    context::{Context, Surroundings, Workshop},
    database,
    idempotency::{self, Answers},
    outbox::partitions,
    router,
    settings::Settings,
    shell::Shell,
    third_party::metrics::Meters,
    topics,
    versions::Versions,
};

/// The name under which the service shows itself to Kafka and PostgreSQL.
const NAME: &str = "write-service";

/// Serves until the token is cancelled, then drains in bounded time. The listener answers from the start: what is
/// missing, `/readyz` tells.
///
/// # Errors
/// When the listener fails, or TLS to the database cannot be set up.
pub async fn serve(
    settings: Settings,
    listener: TcpListener,
    health: Health,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let Settings {
        contexts,
        clock,
        kafka,
        read_after_timeout,
        idempotency_keep,
        connections,
        trace_messages,
        max_parked,
        surroundings,
        outbox,
        auth,
    } = settings;
    let surroundings = Arc::new(surroundings);
    let meters = Meters::register(&metrics);
    let mut tasks = JoinSet::new();
    let mut shells = Vec::new();
    for (context, database) in contexts {
        let database = database.as_role(context.schema).application_name(NAME).pool_size(connections).synchronous();
        let pool = database.pool()?;
        let (versions, answering) = Versions::of(context, &pool, &shutdown);
        tasks.spawn(answering);
        let shell = Shell {
            context,
            pool,
            versions,
            answers: Arc::new(Answers::of(context.schema)),
            clock,
            applied: Applied::new(),
            read_after_timeout,
            surroundings: surroundings.clone(),
        };
        let intake = Intake {
            kafka: kafka.clone(),
            service: NAME.to_owned(),
            schema: context.schema.to_owned(),
            pool: shell.pool.clone(),
            health: health.clone(),
            metrics: metrics.clone(),
            max_parked,
            // What a reactor does may touch the same rows whichever partition tells it to.
            writers: 1,
            batch: inbox::BATCH,
            trace_messages,
        };
        let there = spawn(&mut tasks, context, &intake, &shell.applied, &surroundings, &meters, &shutdown);
        let (pool, answers, stop) = (shell.pool.clone(), shell.answers.clone(), shutdown.clone());
        let schema_is_there = there.clone();
        tasks.spawn(async move {
            if schema_is_there.run_until_cancelled_owned(stop.cancelled()).await.is_none() {
                idempotency::clean(&pool, &answers, idempotency_keep, &stop).await;
            }
        });
        let (pool, there, stop, outbox) = (shell.pool.clone(), there, shutdown.clone(), outbox.clone());
        tasks.spawn(async move {
            if there.run_until_cancelled_owned(stop.cancelled()).await.is_none() {
                partitions::keep(&pool, context.schema, &outbox, &stop).await;
            }
        });
        shells.push((context, shell));
    }

    let owned: Vec<Topic> =
        shells.iter().flat_map(|(context, _)| [context.topics, context.command_topics].concat()).collect();
    let (part, stop) = (health.part("topics"), shutdown.clone());
    tasks.spawn(async move { topics::ensure(&kafka, &owned, &part, &stop).await });

    let auth = auth.map(Auth::new).transpose()?.map(Arc::new);
    match auth.clone() {
        Some(auth) => {
            let (part, stop) = (health.part("auth"), shutdown.clone());
            tasks.spawn(async move { auth.keep_keys(&part, &stop).await });
        }
        None => tracing::warn!("no tokens are asked for: whoever reaches this service may do everything"),
    }

    let router = router::compose(shells, auth.as_ref(), admin::router(health, metrics));
    let served = telemetry::http::serve(listener, router, shutdown.clone()).await;
    // A listener that failed ends the rest too.
    shutdown.cancel();
    let drained = async { while tasks.join_next().await.is_some() {} };
    telemetry::shutdown::within_grace(drained, &shutdown, telemetry::shutdown::GRACE).await;
    served
}

/// Watches a context's database, and starts its reactors and workers once its schema is there: then the token that it answers is
/// cancelled.
fn spawn(
    tasks: &mut JoinSet<()>,
    context: &'static Context,
    intake: &Intake,
    applied: &Applied,
    surroundings: &Arc<Surroundings>,
    meters: &Meters,
    shutdown: &CancellationToken,
) -> CancellationToken {
    let there = CancellationToken::new();
    let (pool, part) = (intake.pool.clone(), intake.health.part(format!("database.{}", context.name)));
    let (signal, stop) = (there.clone(), shutdown.clone());
    tasks.spawn(async move { database::watch(&pool, context, &part, &signal, &stop).await });
    for handler in context.reactors.iter().filter_map(|reactor| reactor(surroundings, context.schema)) {
        let (there, stop) = (there.clone(), shutdown.clone());
        // Its health part is there from now on, so the service is not ready before it is.
        let run = handler.run(intake.clone(), applied.clone(), shutdown.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = there.cancelled() => {}
                () = stop.cancelled() => return,
            }
            // Its health part says so too: the service stays up, not ready, since commands do not depend on it.
            if let Err(error) = run.await {
                tracing::error!(context = context.name, %error, "a reactor has stopped for good");
            }
        });
    }
    for worker in context.workers {
        let (there, stop) = (there.clone(), shutdown.clone());
        let surroundings = surroundings.clone();
        let meters = meters.of(context.name);
        let workshop = Workshop { pool: intake.pool.clone(), applied: applied.clone(), surroundings, meters };
        tasks.spawn(async move {
            if there.run_until_cancelled_owned(stop.cancelled()).await.is_none() {
                worker(workshop, stop).await;
            }
        });
    }
    there
}
