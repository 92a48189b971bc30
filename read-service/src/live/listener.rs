//! Hears what has changed, on a connection of its own. Whatever happens to the connection: once it is there again every feed looks,
//! so that nothing is missed.

use std::{
    future::poll_fn,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use telemetry::{
    CancellationToken,
    backoff::Backoff,
    database::{self, Database, reason},
    health::Part,
};
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client};

use super::{
    Commits, Hub,
    change::{CHANNEL, Notification},
};
use crate::view::ROLE;

/// How often the server is asked whether it is still there, and how long it may take to answer.
const LOOK: Duration = Duration::from_secs(5);

/// How many notifications are read ahead; more wait in PostgreSQL.
const AHEAD: usize = 256;

/// Hears what has changed.
pub struct Listener {
    /// Those who follow what changes.
    pub hub: Hub,
    /// Those who wait until something is visible, which another process may have applied.
    pub commits: Commits,
    /// Told whether changes are heard.
    pub part: Part,
}

impl Listener {
    /// Listens until it is told to stop, connecting again with backoff.
    pub async fn run(self, database: Database, stop: CancellationToken) {
        let database = database.as_role(ROLE).application_name("read-service listen");
        let mut backoff = Backoff::for_connecting();
        let for_ever = async {
            loop {
                let lost = self.hear(&database, &mut backoff).await;
                self.part.not_ready(format!("changes are not heard, subscribers wait: {lost}"));
                tokio::time::sleep(backoff.next_wait()).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = for_ever => {}
        }
    }

    /// Connects and hears for as long as the connection lasts. Returns why it has ended.
    async fn hear(&self, database: &Database, backoff: &mut Backoff) -> String {
        let tls = match database.tls() {
            Ok(tls) => tls,
            Err(error) => return error.to_string(),
        };
        let (client, mut driver) = match tokio::time::timeout(LOOK, database.config().connect(tls)).await {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return reason(&error),
            Err(_) => return "the database does not answer".to_owned(),
        };
        let (heard, mut notifications) = mpsc::channel(AHEAD);
        let passed_on = AtomicU64::new(0);
        let drive = async {
            loop {
                match poll_fn(|context| driver.poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notification(notification))) => {
                        let _ = heard.send(notification).await;
                        passed_on.fetch_add(1, Ordering::Relaxed);
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return reason(&error),
                    None => return "the connection was closed".to_owned(),
                }
            }
        };
        let pass_on = async {
            if let Err(error) = client.batch_execute(&format!("LISTEN {CHANNEL}")).await {
                return reason(&error);
            }
            // Only from now on is everything heard.
            backoff.reset();
            self.part.ready();
            self.commits.ring();
            self.hub.look_again().await;
            while let Some(notification) = notifications.recv().await {
                match serde_json::from_str::<Notification>(notification.payload()) {
                    Ok(changed) => {
                        self.commits.of(&changed.by).ring();
                        self.hub.changed(changed).await;
                    }
                    // Of another version of this service, or of somebody else: whatever it means, it is not missed.
                    Err(_) => {
                        self.commits.ring();
                        self.hub.look_again().await;
                    }
                }
            }
            "nothing is heard any more".to_owned()
        };
        tokio::select! {
            why = drive => why,
            why = pass_on => why,
            () = hangs(&client, &passed_on) => "the database does not answer".to_owned(),
        }
    }
}

/// Returns when the server is there, but hangs. What is heard comes before its answer, too.
async fn hangs(client: &Client, heard: &AtomicU64) {
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        let mut before = heard.load(Ordering::Relaxed);
        let goes_on = || {
            let now = heard.load(Ordering::Relaxed);
            std::mem::replace(&mut before, now) != now
        };
        if !database::answers(client, LOOK, goes_on).await {
            return;
        }
    }
}
