//! Which version things have, for the many who ask only whether theirs is current: whoever asks while a statement is on its way
//! shares the next one.

use std::collections::HashMap;

use deadpool_postgres::Pool;
use futures::future::join_all;
use telemetry::CancellationToken;
use tokio::sync::{mpsc, oneshot};

use crate::{context::Context, database};

/// So many share a statement at most.
const TOGETHER: usize = 256;
/// So many may wait.
const WAITING: usize = 4_096;

/// Where the versions of a context's aggregates are asked for, by topic.
#[derive(Debug, Default)]
pub(crate) struct Versions(HashMap<&'static str, mpsc::Sender<Question>>);

#[derive(Debug)]
struct Question {
    id: String,
    answer: oneshot::Sender<Option<i64>>,
}

impl Versions {
    /// Those of a context; and what answers them, until the token is cancelled.
    pub(crate) fn of(
        context: &'static Context,
        pool: &Pool,
        shutdown: &CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (mut senders, mut loops) = (HashMap::new(), Vec::new());
        for aggregate in context.aggregates {
            let (sender, receiver) = mpsc::channel(WAITING);
            senders.insert(aggregate.topic.name, sender);
            let (table, id) = (aggregate.table, aggregate.id);
            let select = format!("select {id}, version from {table} where {id} = any($1)");
            loops.push(answer(receiver, pool.clone(), select, shutdown.clone()));
        }
        (Self(senders), async { drop(join_all(loops).await) })
    }

    /// The version that the aggregate of this id has; `None` where there is none, or nobody could tell.
    pub(crate) async fn find(&self, topic: &str, id: String) -> Option<i64> {
        let (answer, answered) = oneshot::channel();
        self.0.get(topic)?.send(Question { id, answer }).await.ok()?;
        answered.await.ok().flatten()
    }
}

async fn answer(mut questions: mpsc::Receiver<Question>, pool: Pool, select: String, shutdown: CancellationToken) {
    let mut asked = Vec::with_capacity(TOGETHER);
    while shutdown.run_until_cancelled(questions.recv_many(&mut asked, TOGETHER)).await.is_some_and(|count| count > 0) {
        // Those who are not answered look for themselves, and see what is wrong.
        let known = look(&pool, &select, &asked).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "versions cannot be looked up");
            HashMap::new()
        });
        for Question { id, answer } in asked.drain(..) {
            // Who has gone away needs no answer.
            let _ = answer.send(known.get(&id).copied());
        }
    }
}

async fn look(pool: &Pool, select: &str, asked: &[Question]) -> Result<HashMap<String, i64>, database::Error> {
    let client = pool.get().await?;
    let statement = client.prepare_cached(select).await?;
    let ids: Vec<&str> = asked.iter().map(|question| question.id.as_str()).collect();
    let rows = client.query(&statement, &[&ids]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}
