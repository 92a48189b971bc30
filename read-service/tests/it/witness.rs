//! Bookings that change all the while, and clients who remember what they were told: whatever is done meanwhile to instances and
//! servers, no version goes back, and in the end each event was applied, once.

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use chrono::Utc;
use serde_json::{Value, json};
use servers::{Process, eventually, shared, unique_prefix};
use telemetry::CancellationToken;
use tokio::{sync::watch, time::interval};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    kafka::{create_topics, publish},
    support::{Views, booking},
};

/// How long anything may take that has to recover first.
const RECOVERED: Duration = Duration::from_secs(60);

/// How many bookings change.
const BOOKINGS: i64 = 40;

/// How often each of them does.
const PACE: Duration = Duration::from_millis(25);

/// How long a client waits for an answer: it may be that of a server which is no more.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often something is done to a part: so many times, or as often as `SOAK` says (`make soak`).
pub(crate) fn rounds(usual: usize) -> usize {
    std::env::var("SOAK").map_or(usual, |rounds| rounds.parse().expect("SOAK is a number of rounds"))
}

/// Views, and topics of their own.
pub(crate) struct Hotel {
    views: Views,
    pub(crate) prefix: String,
}

impl Hotel {
    pub(crate) async fn open(views: Views, purpose: &str) -> Self {
        let prefix = unique_prefix(purpose);
        create_topics(&prefix).await;
        // The journal's key hides an event that is applied again; this does not.
        let keep_each =
            "CREATE TABLE public.applied (id text, setting text DEFAULT current_setting('synchronous_commit'));
            CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
                $$ BEGIN INSERT INTO public.applied VALUES (NEW.id); RETURN NEW; END $$;
            CREATE TRIGGER keep BEFORE INSERT ON view.event FOR EACH ROW EXECUTE FUNCTION public.keep()";
        views.owner().await.batch_execute(keep_each).await.unwrap();
        Self { views, prefix }
    }

    /// Has commits be answered before they are on the disk, unless whoever connects wants it otherwise.
    pub(crate) async fn answer_early(&self) {
        let set = "DO $$ BEGIN
            EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database());
        END $$";
        self.views.owner().await.batch_execute(set).await.unwrap();
    }

    /// Whether the commits of the service's intake were on the disk when they could be seen: the values of `fsync` and of
    /// `synchronous_commit` that it has had.
    pub(crate) async fn durability(&self) -> [String; 2] {
        let client = self.views.owner().await;
        let select = "SELECT current_setting('fsync'), string_agg(DISTINCT setting, ' ') FROM public.applied";
        let row = client.query_one(select, &[]).await.unwrap();
        [row.get(0), row.get(1)]
    }

    /// A process of the service, which is started.
    pub(crate) fn instance(&self) -> Instance {
        self.instance_with(&[])
    }

    /// The same with further settings.
    pub(crate) fn instance_with(&self, more: &[(&'static str, &str)]) -> Instance {
        // Free at this moment, and not given out again soon: the kernel goes round its range.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let settings = [
            ("DATABASE_URL", self.views.service_url.clone()),
            ("KAFKA_BOOTSTRAP_SERVERS", shared::kafka().bootstrap_servers.clone()),
            ("TOPIC_PREFIX", self.prefix.clone()),
            // As soon as the broker allows, those who live get what a dead one had.
            ("KAFKA_CONFIG", "session.timeout.ms=6000\nheartbeat.interval.ms=200".to_owned()),
            ("VIEWS", "booking,journal".to_owned()),
            ("LISTEN", address.to_string()),
        ];
        let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let settings = settings.into_iter().chain(more).collect();
        let mut instance = Instance { address, settings, process: None };
        instance.start();
        instance
    }

    /// Has all bookings change until that is ended.
    pub(crate) fn change(&self) -> Changes {
        let (prefix, stop) = (self.prefix.clone(), CancellationToken::new());
        let (tell, published) = watch::channel(0);
        let until = stop.clone();
        let running = tokio::spawn(async move {
            let mut pace = interval(PACE);
            let mut version = 0;
            while !until.is_cancelled() {
                pace.tick().await;
                version += 1;
                let changed = (0..BOOKINGS).map(|number| {
                    let mut event = booking(&number.to_string(), version, "2026-03-01", &json!({}));
                    let event_number = version * BOOKINGS + number;
                    event.envelope.id = format!("01999999-0000-7000-8000-{event_number:012}").parse().unwrap();
                    event.envelope.time = Utc::now();
                    event
                });
                publish(&prefix, &changed.collect::<Vec<_>>()).await;
                tell.send_replace(version);
            }
        });
        Changes { published, stop, running: AbortOnDropHandle::new(running) }
    }

    /// Waits until all bookings have this version, and asserts that each event was applied once.
    pub(crate) async fn has_all_once(&self, version: i64) {
        let owner = self.views.owner().await;
        let events = version * BOOKINGS;
        eventually("all of it is there", RECOVERED, async || {
            let select =
                "SELECT (SELECT count(*) FROM view.booking WHERE version = $1), (SELECT count(*) FROM view.event)";
            let row = owner.query_one(select, &[&version]).await.unwrap();
            let found: (i64, i64) = (row.get(0), row.get(1));
            if found == (BOOKINGS, events) { Ok(Some(())) } else { Err(format!("{found:?} of {events} events")) }
        })
        .await;
        let number = async |select: &str| -> i64 { owner.query_one(select, &[]).await.unwrap().get(0) };
        assert_eq!(number("SELECT count(*) FROM view.booking").await, BOOKINGS);
        assert_eq!(number("SELECT count(DISTINCT id) FROM public.applied").await, events);
        assert_eq!(number("SELECT count(*) FROM public.applied").await, events, "an event was applied twice");
        assert_eq!(number("SELECT count(*) FROM view.inbox_dead_letter").await, 0);
        let next = "SELECT sum(next_offset)::bigint FROM view.inbox_offset WHERE handler =";
        for handler in ["booking", "journal"] {
            assert_eq!(number(&format!("{next} '{handler}'")).await, events, "{handler}");
        }
    }
}

/// A process of the service, or its place.
pub(crate) struct Instance {
    pub(crate) address: SocketAddr,
    settings: Vec<(&'static str, String)>,
    process: Option<Process>,
}

impl Instance {
    /// Waits until it answers queries.
    pub(crate) async fn ready(&self) {
        eventually("ready", RECOVERED, async || {
            let response = reqwest::get(format!("http://{}/readyz", self.address)).await?;
            Ok::<_, reqwest::Error>(response.status().is_success().then_some(()))
        })
        .await;
    }

    /// How much memory it holds, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.as_ref().unwrap().pid());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Starts it, unless it runs.
    pub(crate) fn start(&mut self) {
        let settings: Vec<_> = self.settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.process.get_or_insert_with(|| Process::spawn("read-service", ["serve"], &settings).unwrap());
    }

    /// Kills it (SIGKILL).
    pub(crate) async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await.unwrap();
        }
    }

    /// Has it end in order (SIGTERM).
    pub(crate) async fn leave(&mut self) {
        if let Some(process) = self.process.take() {
            let status = process.terminate(RECOVERED).await.unwrap();
            assert!(status.success(), "{}", process.log());
        }
    }
}

/// All bookings change, version by version.
pub(crate) struct Changes {
    published: watch::Receiver<i64>,
    stop: CancellationToken,
    running: AbortOnDropHandle<()>,
}

impl Changes {
    /// Waits until they have changed so many times more.
    pub(crate) async fn go_on(&mut self, times: i64) {
        let aim = *self.published.borrow() + times;
        tokio::time::timeout(RECOVERED, self.published.wait_for(|version| *version >= aim)).await.unwrap().unwrap();
    }

    /// Ends it. Gives the last version.
    pub(crate) async fn end(self) -> i64 {
        self.stop.cancel();
        self.running.await.unwrap();
        *self.published.borrow()
    }
}

/// Clients of all instances: one asks, one instance after another, and one subscribes wherever it can. A version that goes back is
/// for [`Witness::end`] to say.
pub(crate) struct Witness {
    /// The version that every booking is known to have.
    asked: watch::Receiver<i64>,
    /// The version that the one who subscribes was told.
    told: watch::Receiver<i64>,
    stop: CancellationToken,
    asking: AbortOnDropHandle<Vec<usize>>,
    following: AbortOnDropHandle<Option<()>>,
}

impl Witness {
    /// Waits until the one who asks has been told of a further change.
    pub(crate) async fn is_told_more(&mut self) {
        let version = *self.asked.borrow();
        let more = self.asked.wait_for(|asked| *asked > version);
        tokio::time::timeout(RECOVERED, more).await.expect("they work").unwrap();
    }

    pub(crate) fn of(instances: &[Instance]) -> Self {
        let addresses: Vec<_> = instances.iter().map(|instance| instance.address).collect();
        let stop = CancellationToken::new();
        let ((tell_asked, asked), (tell_told, told)) = (watch::channel(0), watch::channel(0));
        let asking = tokio::spawn(ask(addresses.clone(), tell_asked, stop.clone()));
        let following = tokio::spawn(stop.clone().run_until_cancelled_owned(follow(addresses, tell_told)));
        let (asking, following) = (AbortOnDropHandle::new(asking), AbortOnDropHandle::new(following));
        Self { asked, told, stop, asking, following }
    }

    /// Waits until both clients know this version, and asserts that they never knew a higher one before a lower one and that every
    /// instance has answered.
    pub(crate) async fn end(self, version: i64) {
        for mut known in [self.asked, self.told] {
            let seen = known.wait_for(|known| *known >= version);
            // A client that has failed says so below.
            let _ = tokio::time::timeout(RECOVERED, seen).await.expect("the last version is told");
        }
        self.stop.cancel();
        self.following.await.unwrap();
        let answers = self.asking.await.unwrap();
        assert!(answers.iter().all(|count| *count > 0), "{answers:?}");
    }
}

/// Asks for all bookings, one instance after another. Gives how often each has answered.
async fn ask(addresses: Vec<SocketAddr>, asked: watch::Sender<i64>, stop: CancellationToken) -> Vec<usize> {
    let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
    let query = json!({"query": "{ bookings(first: 100) { nodes { bookingId version } } }"});
    let mut known = vec![0; usize::try_from(BOOKINGS).unwrap()];
    let mut answers = vec![0; addresses.len()];
    while !stop.is_cancelled() {
        for (address, answers) in addresses.iter().zip(&mut answers) {
            let asking = async {
                http.post(format!("http://{address}/graphql")).json(&query).send().await?.json::<Value>().await
            };
            // Nobody is there, or knows: that is no answer.
            let Ok(answer) = asking.await else { continue };
            let Some(found) = answer["data"]["bookings"]["nodes"].as_array() else { continue };
            *answers += 1;
            let mut versions = vec![0; known.len()];
            for node in found {
                let number: usize = node["bookingId"].as_str().unwrap().parse().unwrap();
                versions[number] = node["version"].as_i64().unwrap();
            }
            for (number, (version, known)) in versions.iter().zip(&mut known).enumerate() {
                assert!(*version >= *known, "booking {number} has gone back from {known} to {version} at {address}");
                *known = *version;
            }
            asked.send_replace(known.iter().copied().min().unwrap());
        }
    }
    answers
}

/// Follows a booking, at another instance whenever one is gone.
async fn follow(addresses: Vec<SocketAddr>, told: watch::Sender<i64>) {
    let http = reqwest::Client::new();
    let query = json!({"query": r#"subscription { booking(id: "0") { version } }"#});
    for address in addresses.iter().cycle() {
        let request = http.post(format!("http://{address}/graphql")).header("accept", "text/event-stream");
        let Ok(mut stream) = request.json(&query).send().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let mut text = String::new();
        while let Ok(Some(chunk)) = stream.chunk().await {
            text.push_str(std::str::from_utf8(&chunk).unwrap());
            while let Some((event, rest)) = text.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data:")).unwrap_or_default();
                let data: Value = serde_json::from_str(data).unwrap_or_default();
                if let Some(version) = data["data"]["booking"]["version"].as_i64() {
                    let known = told.send_replace(version);
                    assert!(version >= known, "a subscription has gone back from {known} to {version} at {address}");
                }
                text = rest.to_owned();
            }
        }
    }
}
