//! Works off the queue: takes what is due, asks the third party, writes down what came of it.

use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use telemetry::CancellationToken;
use tokio::{task::JoinSet, time::sleep};

use super::{
    domain::Outcome,
    operations::{self, Error, Taken},
    processor::Processor,
};
use crate::{
    context::Workshop,
    third_party::{
        breaker::{Breaker, Permit},
        http::Unknown,
        metrics::{self, Attempt, Queue, QueueMeters},
        retry::wait,
    },
};

/// How many questions are under way at most.
const AT_ONCE: usize = 8;
/// How often it is looked for what is due, when nothing rings: another process may have written it.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The third party's name in metrics.
const CARD_PROCESSOR: &str = "card-processor";

/// Works until the token is cancelled, and then to the end of what is under way.
pub(super) async fn run(workshop: Workshop, shutdown: CancellationToken) {
    let Workshop { pool, applied, surroundings, meters } = workshop;
    let processor = match Processor::at(&surroundings.card_processor) {
        Ok(processor) => processor,
        Err(error) => {
            tracing::error!(%error, "no payments can be taken: TLS cannot be set up");
            return;
        }
    };
    let mut bell = applied.bell();
    let mut breaker = Breaker::new();
    let mut shown: Option<Instant> = None;
    let mut under_way: JoinSet<Result<(), Unknown>> = JoinSet::new();
    loop {
        if shown.is_none_or(|at| at.elapsed() >= metrics::LOOK_EVERY) {
            shown = Some(Instant::now());
            show(&pool, &breaker, &meters).await;
        }
        let room = match breaker.permit(Instant::now()) {
            Permit::Any => AT_ONCE.saturating_sub(under_way.len()),
            Permit::One => 1_usize.saturating_sub(under_way.len()),
            Permit::NotBefore(_) => 0,
        };
        bell.listen();
        let taken = work(&pool, room).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the queue of payments cannot be worked on");
            Vec::new()
        });
        for taken in taken {
            under_way.spawn(answer(pool.clone(), processor.clone(), taken, meters.clone()));
        }
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(ended) = under_way.join_next() => heard(&mut breaker, ended.unwrap_or(Ok(()))),
            () = bell.rung() => {}
            () = sleep(LOOK_EVERY) => {}
        }
    }
    // What is cut off is asked again under its key.
    while under_way.join_next().await.is_some() {}
}

async fn work(pool: &Pool, room: usize) -> Result<Vec<Taken>, Error> {
    operations::end_waits(pool).await?;
    if room == 0 { Ok(Vec::new()) } else { operations::take(pool, room).await }
}

async fn show(pool: &Pool, breaker: &Breaker, meters: &QueueMeters) {
    match operations::waiting(pool).await {
        Ok((waiting, since)) => {
            let (third_party, breaker) = (CARD_PROCESSOR.to_owned(), breaker.state(Instant::now()));
            meters.show(vec![Queue { third_party, waiting, since, breaker }]);
        }
        Err(error) => tracing::debug!(%error, "it cannot be seen how many payments wait"),
    }
}

fn heard(breaker: &mut Breaker, answer: Result<(), Unknown>) {
    match answer {
        Ok(()) if breaker.answered() => tracing::info!("the third party that charges cards answers again"),
        Ok(()) => {}
        Err(reason) => {
            if let Some(pause) = breaker.failed(Instant::now()) {
                tracing::warn!(%reason, ?pause, "the third party that charges cards fails, and is left alone for a while");
            }
        }
    }
}

/// Asks, and writes down what came of it. Gives whether there was an answer.
async fn answer(pool: Pool, processor: Processor, taken: Taken, meters: QueueMeters) -> Result<(), Unknown> {
    let Taken { question, tries } = taken;
    let answer = processor.ask(&question).await;
    let attempt = match &answer {
        Ok(Outcome::Done) => Attempt::Done,
        Ok(Outcome::Declined(_)) => Attempt::Refused,
        Err(_) => Attempt::Unknown,
    };
    meters.attempted(CARD_PROCESSOR, attempt);
    let written = match &answer {
        Ok(outcome) => operations::conclude(&pool, &question, outcome.clone()).await,
        Err(unknown) => {
            tracing::debug!(key = %question.key, tries, reason = %unknown, "nobody knows what became of it: asked again later");
            operations::put_off(&pool, question.key, wait(tries), &unknown.0).await
        }
    };
    if let Err(error) = written {
        tracing::warn!(key = %question.key, %error, "what came of it cannot be written down: asked again later");
    }
    answer.map(drop)
}
