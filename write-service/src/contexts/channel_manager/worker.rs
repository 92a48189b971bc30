//! Tells the sites what they are to be told: takes notices that are due, looks up what there is to say, says it, and writes down
//! what came of it. Each site has a lane of its own, so that one that fails, or takes its time, holds up no other.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use deadpool_postgres::Pool;
use telemetry::CancellationToken;
use tokio::{
    task::{Id, JoinSet},
    time::sleep,
};

use super::{
    notices::{self, Taken, Waiting},
    site_api::{SiteApi, Verdict},
    store::allotments,
};
use crate::{
    context::Workshop,
    database,
    third_party::{
        breaker::{Breaker, Permit, State},
        http::Unknown,
        metrics::{self, Attempt, Queue, QueueMeters},
        retry::wait,
    },
};

/// How many sites are spoken to at once, at most, and how many times each.
const AT_ONCE: usize = 64;
const AT_ONCE_EACH: usize = 2;
/// How often it is looked for what is due, when nothing rings: a command has no bell, and another process none here.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often it is seen to the nights that come near, and to those that are over.
const TEND_EVERY: Duration = Duration::from_secs(10);

/// Works until the token is cancelled, and then to the end of what is under way.
pub(super) async fn run(workshop: Workshop, shutdown: CancellationToken) {
    let Workshop { pool, applied, meters, .. } = workshop;
    let api = match SiteApi::new() {
        Ok(api) => api,
        Err(error) => {
            tracing::error!(%error, "no site can be told anything: TLS cannot be set up");
            return;
        }
    };
    let mut bell = applied.bell();
    let mut lanes = Lanes::default();
    let (mut tended, mut shown): (Option<Instant>, Option<Instant>) = (None, None);
    loop {
        bell.listen();
        if tended.is_none_or(|at| at.elapsed() >= TEND_EVERY) {
            tended = Some(Instant::now());
            tend(&pool)
                .await
                .unwrap_or_else(|error| tracing::warn!(%error, "the nights of the sites cannot be seen to"));
        }
        if shown.is_none_or(|at| at.elapsed() >= metrics::LOOK_EVERY) {
            shown = Some(Instant::now());
            show(&pool, &lanes, &meters).await;
        }
        let worked = work(&pool, &api, &mut lanes, &meters).await;
        worked.unwrap_or_else(|error| tracing::warn!(%error, "the queue to the sites cannot be worked on"));
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = lanes.next_end() => {}
            () = bell.rung() => {}
            () = sleep(LOOK_EVERY) => {}
        }
    }
    // What is cut off is said again.
    lanes.end().await;
}

async fn tend(pool: &Pool) -> Result<(), database::Error> {
    allotments::extend(pool).await?;
    notices::forget(pool).await
}

async fn show(pool: &Pool, lanes: &Lanes, meters: &QueueMeters) {
    match notices::waiting(pool).await {
        Ok(waiting) => meters.show(waiting.into_iter().map(|waiting| lanes.queue(waiting)).collect()),
        Err(error) => tracing::debug!(%error, "it cannot be seen how much waits for the sites"),
    }
}

/// Begins whatever there is room for.
async fn work(pool: &Pool, api: &SiteApi, lanes: &mut Lanes, meters: &QueueMeters) -> Result<(), database::Error> {
    for site_id in notices::due_sites(pool, &lanes.full()).await? {
        while lanes.room(&site_id) > 0 {
            let Some(taken) = notices::take(pool, &site_id).await? else { break };
            lanes.begin(taken, pool, api, meters);
        }
    }
    Ok(())
}

/// What is under way, and which sites may be spoken to.
#[derive(Default)]
struct Lanes {
    breakers: HashMap<String, Breaker>,
    /// To which site each task speaks.
    sites: HashMap<Id, String>,
    tasks: JoinSet<Option<Result<(), Unknown>>>,
}

impl Lanes {
    /// How many times more a site may be spoken to now.
    fn room(&self, site_id: &str) -> usize {
        let permitted = match self.breakers.get(site_id).map_or(Permit::Any, |breaker| breaker.permit(Instant::now())) {
            Permit::Any => AT_ONCE_EACH,
            Permit::One => 1,
            Permit::NotBefore(_) => 0,
        };
        let under_way = self.sites.values().filter(|site| *site == site_id).count();
        permitted.saturating_sub(under_way).min(AT_ONCE.saturating_sub(self.tasks.len()))
    }

    /// The sites that may not be spoken to now.
    fn full(&self) -> Vec<&str> {
        let known = self.breakers.keys().chain(self.sites.values()).map(String::as_str);
        known.filter(|site_id| self.room(site_id) == 0).collect()
    }

    /// A site's queue, as metrics show it.
    fn queue(&self, waiting: Waiting) -> Queue {
        let Waiting { site_id, count, since } = waiting;
        let breaker = self.breakers.get(&site_id).map_or(State::Closed, |breaker| breaker.state(Instant::now()));
        Queue { third_party: site_id, waiting: count, since, breaker }
    }

    fn begin(&mut self, taken: Taken, pool: &Pool, api: &SiteApi, meters: &QueueMeters) {
        let (site_id, pool, api, meters) = (taken.site_id.clone(), pool.clone(), api.clone(), meters.clone());
        let task = self.tasks.spawn(async move { tell(&pool, &api, &taken, &meters).await });
        self.sites.insert(task.id(), site_id);
    }

    /// Waits until something that is under way has ended, and takes up what is known of its site then.
    async fn next_end(&mut self) {
        let (id, answer) = match self.tasks.join_next_with_id().await {
            Some(Ok((id, answer))) => (id, answer),
            Some(Err(error)) => (error.id(), None),
            None => return std::future::pending().await,
        };
        let Some(site) = self.sites.remove(&id) else { return };
        match answer {
            Some(Ok(())) => {
                let was_open = self.breakers.remove(&site).is_some_and(|mut breaker| breaker.answered());
                if was_open {
                    tracing::info!(site, "the site answers again");
                }
            }
            None => {}
            Some(Err(reason)) => {
                let breaker = self.breakers.entry(site.clone()).or_insert_with(Breaker::new);
                if let Some(pause) = breaker.failed(Instant::now()) {
                    tracing::warn!(site, %reason, ?pause, "the site fails, and is left alone for a while");
                }
            }
        }
    }

    async fn end(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Tells a site what was taken, and writes down what came of it. Gives whether there was an answer, if it was spoken to at all.
async fn tell(pool: &Pool, api: &SiteApi, taken: &Taken, meters: &QueueMeters) -> Option<Result<(), Unknown>> {
    let (answer, written) = match notices::look_up(pool, taken).await {
        Err(error) => (None, Err(error)),
        Ok((_, None, said)) => (None, notices::settle(pool, taken, &said, None).await),
        Ok((url, Some(saying), said)) => match api.tell(&url, &saying).await {
            Ok(Verdict::Told) => {
                meters.attempted(&taken.site_id, Attempt::Done);
                (Some(Ok(())), notices::settle(pool, taken, &said, None).await)
            }
            Ok(Verdict::Refused(status)) => {
                meters.attempted(&taken.site_id, Attempt::Refused);
                tracing::error!(
                    %taken, %status,
                    "the site refuses for good what it is told: see to it there; then it is told again when the rooms are allotted \
                     again, or when `settled` is set back to 0 in channel_manager.notice"
                );
                let reason = format!("it answered {status}");
                (Some(Ok(())), notices::settle(pool, taken, &said, Some(&reason)).await)
            }
            Err(unknown) => {
                meters.attempted(&taken.site_id, Attempt::Unknown);
                tracing::debug!(%taken, tries = taken.tries, reason = %unknown, "nobody knows whether it was heard: said again later");
                let written = notices::put_off(pool, taken, &said, wait(taken.tries), &unknown.0).await;
                (Some(Err(unknown)), written)
            }
        },
    };
    if let Err(error) = written {
        tracing::warn!(%taken, %error, "what came of it cannot be written down: said again later");
    }
    answer
}
