//! `read-service rebuild`: the real program, on a served database.

use std::{collections::BTreeMap, future::poll_fn, time::Duration};

use contracts::{accounts, direct_booking};
use inbox::{Delivery, Handler, Unapplied};
use read_service::{projection::Anew, view::View};
use serde_json::{Value, json};
use servers::{Process, eventually, shared, unique_prefix};
use telemetry::CancellationToken;
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, NoTls};

use crate::{
    kafka::{Service, create_topics, publish},
    support::{SOON, Views, account, booking, cancelled, tombstone},
};

/// How long a rebuild may take.
const BOUND: Duration = Duration::from_secs(60);

/// What a rebuild can be made to wait for, see [`Hotel::make_gates`].
#[derive(Clone, Copy)]
enum Gate {
    /// To move an offset of the first partition, before anything of the batch is applied.
    Offset = 1,
    /// To copy a row.
    Row,
    /// To make an index.
    Index,
    /// To end a swap, all of which is done but the commit.
    Swap,
}

/// A gate that is shut, until this is told otherwise or dropped.
struct Shut(deadpool_postgres::Object);

impl Shut {
    async fn open(self) {
        self.0.batch_execute("SELECT pg_advisory_unlock_all()").await.unwrap();
    }
}

/// A database, topics of its own, and a place for runs.
struct Hotel {
    views: Views,
    prefix: String,
    runs: tempfile::TempDir,
}

impl Hotel {
    async fn open(purpose: &str) -> Self {
        let prefix = unique_prefix(purpose);
        create_topics(&prefix).await;
        Self { views: Views::create(purpose).await, prefix, runs: tempfile::tempdir().unwrap() }
    }

    async fn serve(&self) -> Service {
        let service = Service::start(self.views.service(), &self.prefix).await;
        service.ready().await;
        service
    }

    /// Starts the program.
    fn rebuild(&self, arguments: &[&str]) -> Process {
        let directory = self.runs.path().join("runs");
        let environment = [
            ("MIGRATION_DATABASE_URL", &*self.views.database.url()),
            ("KAFKA_BOOTSTRAP_SERVERS", &*shared::kafka().bootstrap_servers),
            ("TOPIC_PREFIX", &*self.prefix),
            ("REBUILD_DIRECTORY", directory.to_str().unwrap()),
            ("REBUILD_MEMORY_MIB", "1"),
        ];
        Process::spawn("read-service", [&["rebuild"], arguments].concat(), &environment).unwrap()
    }

    /// Runs it to its good end. Gives what it said.
    async fn rebuilt(&self, arguments: &[&str]) -> String {
        let process = self.rebuild(arguments);
        let ended = process.wait(BOUND).await.unwrap();
        assert!(ended.success(), "{}", process.log());
        assert!(!self.runs.path().join("runs").exists(), "nothing is left of the runs");
        process.log()
    }

    /// Runs it to its bad end. Gives what it said.
    async fn refused(&self, arguments: &[&str]) -> String {
        let process = self.rebuild(arguments);
        let ended = process.wait(BOUND).await.unwrap();
        assert!(!ended.success(), "{}", process.log());
        process.log()
    }

    /// Makes the gates, all of them open, of triggers, a check and an index of bookings. Who waits at one sleeps, since a lock
    /// would be given up.
    async fn make_gates(&self) {
        self.execute(
            "CREATE FUNCTION public.pass(gate integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
                 WHILE NOT pg_try_advisory_xact_lock_shared(gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
                 RETURN true;
             END $$;
             CREATE FUNCTION public.pass(id text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
                 $$ BEGIN PERFORM public.pass(3); RETURN id; END $$;
             CREATE FUNCTION public.pass() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN PERFORM public.pass(TG_ARGV[0]::integer); RETURN NEW; END $$;
             CREATE TRIGGER moves BEFORE UPDATE ON view.inbox_offset FOR EACH ROW
                 WHEN (OLD.generation = 2 AND NEW.generation = 2 AND NEW.partition = 0)
                 EXECUTE FUNCTION public.pass('1');
             CREATE TRIGGER becomes BEFORE UPDATE ON view.inbox_offset FOR EACH ROW
                 WHEN (OLD.generation <> NEW.generation) EXECUTE FUNCTION public.pass('4');
             ALTER TABLE view.booking ADD CONSTRAINT gate CHECK (public.pass(2));
             CREATE INDEX gate ON view.booking (public.pass(id))",
        )
        .await;
    }

    async fn shut(&self, gate: Gate) -> Shut {
        let keeper = self.views.owner().await;
        keeper.batch_execute(&format!("SELECT pg_advisory_lock({})", gate as i32)).await.unwrap();
        Shut(keeper)
    }

    /// The statements of rebuilds that wait at a gate.
    async fn waiting(&self) -> Vec<String> {
        let sql = "SELECT query FROM pg_stat_activity WHERE datname = current_database()
                   AND application_name = 'read-service rebuild' AND wait_event = 'PgSleep'";
        self.views.owner().await.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// Waits until a rebuild waits at a gate, with this statement, and asserts that it is in this stage.
    async fn stands_still(&self, process: &Process, stage: &str, statement: &str) {
        const STAGES: [&str; 4] = ["reading its topic", "loading", "making its indexes", "following its topic"];
        eventually(stage, SOON, async || {
            let log = process.log();
            assert!(process.status().is_none(), "{log}");
            let waiting = self.waiting().await;
            let is_there = waiting.iter().any(|query| query.contains(statement));
            if is_there { Ok(Some(())) } else { Err(format!("{waiting:?} {log}")) }
        })
        .await;
        let log = process.log();
        let last = STAGES.iter().max_by_key(|stage| log.rfind(**stage)).unwrap();
        assert_eq!(*last, stage, "{log}");
    }

    /// Ends all connections of rebuilds, as a restart of the server does.
    async fn disconnect(&self) {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND application_name = 'read-service rebuild'";
        self.execute(end).await;
        self.nobody_is_connected().await;
    }

    /// Waits until the server has noticed that nobody rebuilds any more.
    async fn nobody_is_connected(&self) {
        let select = "SELECT to_jsonb(query) FROM pg_stat_activity
                      WHERE datname = current_database() AND application_name = 'read-service rebuild'";
        eventually("nobody is connected", SOON, async || {
            let queries = self.json(select).await;
            if queries.is_empty() { Ok(Some(())) } else { Err(format!("{queries:?}")) }
        })
        .await;
    }

    /// The runs that count, each with what tells that it is the same file.
    fn runs(&self) -> BTreeMap<u64, std::time::SystemTime> {
        let mut runs = BTreeMap::new();
        for view in std::fs::read_dir(self.runs.path().join("runs")).unwrap() {
            let view = view.unwrap().path();
            let manifest: Value = serde_json::from_slice(&std::fs::read(view.join("manifest.json")).unwrap()).unwrap();
            for run in manifest["runs"].as_array().unwrap() {
                let file = run["file"].as_u64().unwrap();
                runs.insert(file, view.join(format!("{file}.run")).metadata().unwrap().modified().unwrap());
            }
        }
        runs
    }

    async fn publish(&self, deliveries: &[Delivery]) {
        publish(&self.prefix, deliveries).await;
    }

    /// Waits until so many messages have been seen to.
    async fn applied(&self, handler: &str, messages: usize) {
        let owner = self.views.owner().await;
        let sum =
            "SELECT coalesce(sum(next_offset), 0)::bigint FROM view.inbox_offset WHERE handler = $1 AND generation = 1";
        eventually("all is applied", SOON, async || {
            let seen: i64 = owner.query_one(sum, &[&handler]).await.unwrap().get(0);
            if seen == i64::try_from(messages).unwrap() { Ok(Some(())) } else { Err(format!("{seen} of {messages}")) }
        })
        .await;
    }

    /// All rows of a view, but for when they arrived.
    async fn rows(&self, table: &str) -> Vec<Value> {
        self.json(&format!("SELECT to_jsonb(held) - 'applied_at' FROM view.{table} held ORDER BY id")).await
    }

    /// What is set aside, but for when it was.
    async fn letters(&self) -> Vec<Value> {
        self.json(
            "SELECT to_jsonb(letter) - 'set_aside_at' FROM view.inbox_dead_letter letter
             ORDER BY handler, generation, partition, message_offset",
        )
        .await
    }

    /// All that a table is beside its rows: columns, checks, indexes, who may do what, comments.
    async fn definition(&self, table: &str) -> Vec<Value> {
        self.json(&format!(
            "SELECT jsonb_build_object(
                 'acl', array(SELECT acl::text FROM unnest(relacl) AS acl ORDER BY 1), 'owner', relowner::regrole,
                 'comment', obj_description(oid, 'pg_class'), 'options', reloptions,
                 'columns', (SELECT jsonb_agg(jsonb_build_array(attname, format_type(atttypid, atttypmod), attnotnull,
                      attcollation, attacl::text, col_description(oid, attnum)) ORDER BY attnum) FROM pg_attribute
                      WHERE attrelid = oid AND attnum > 0),
                 'constraints', (SELECT jsonb_agg(conname || ' ' || pg_get_constraintdef(c.oid) ORDER BY conname)
                      FROM pg_constraint c WHERE conrelid = of.oid),
                 'indexes', (SELECT jsonb_agg(indexdef ORDER BY indexdef) FROM pg_indexes
                      WHERE schemaname = 'view' AND tablename = relname))
             FROM pg_class AS of WHERE oid = 'view.{table}'::regclass"
        ))
        .await
    }

    async fn json(&self, select: &str) -> Vec<Value> {
        self.views.owner().await.query(select, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    async fn execute(&self, sql: &str) {
        self.views.owner().await.batch_execute(sql).await.unwrap();
    }

    /// What those who follow something are told from now on.
    async fn listen(&self) -> (tokio_postgres::Client, mpsc::UnboundedReceiver<Value>) {
        let (client, mut connection) = tokio_postgres::connect(&self.views.database.url(), NoTls).await.unwrap();
        let (tell, told) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                if let AsyncMessage::Notification(heard) = message {
                    let _ = tell.send(serde_json::from_str(heard.payload()).unwrap());
                }
            }
        });
        client.batch_execute("LISTEN view_changes").await.unwrap();
        (client, told)
    }

    /// What a rebuild leaves behind of generations and tables once it has ended: nothing.
    async fn assert_tidy(&self) {
        let left = "SELECT to_jsonb(relname) FROM pg_class WHERE relnamespace = 'view'::regnamespace
                        AND relname LIKE '%rebuild%'
                    UNION ALL SELECT to_jsonb(handler) FROM view.inbox_offset WHERE generation <> 1
                    UNION ALL SELECT to_jsonb(handler) FROM view.inbox_parked WHERE generation <> 1
                    UNION ALL SELECT to_jsonb(handler) FROM view.inbox_dead_letter WHERE generation <> 1";
        assert_eq!(self.json(left).await, Vec::<Value>::new());
    }
}

/// Several versions of many bookings and accounts, some of which are gone in the end.
fn a_history() -> Vec<Delivery> {
    let mut history = Vec::new();
    for version in 1..=4 {
        for number in 0..1_500 {
            let id = format!("b{number}");
            history.push(match (version, number % 7) {
                (4, 0) => tombstone(direct_booking::BOOKING, &id, version),
                (4, 1) => cancelled(&id, version, "2026-03-01"),
                _ => booking(&id, version, "2026-03-01", &json!({"room": format!("10{version}")})),
            });
        }
        for number in 0..200 {
            let id = format!("a{number}");
            history.push(match (version, number % 5) {
                (4, 0) => tombstone(accounts::ACCOUNT, &id, version),
                _ => account(&id, version, &format!("Ada the {version}.")),
            });
        }
    }
    history
}

/// Given views in which rows are missing or wrong, when they are rebuilt with little memory, then they are as the intake had
/// filled them, to the last index, privilege and comment; and so they are where nothing has ever been filled.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebuilt_view_is_what_the_intake_makes() {
    let hotel = Hotel::open("rebuild-equal").await;
    let history = a_history();
    hotel.execute("GRANT SELECT (id, status), UPDATE (room) ON view.booking TO PUBLIC").await;
    hotel.execute("ALTER TABLE view.booking SET (fillfactor = 80)").await;
    hotel
        .execute(r#"CREATE INDEX "by USING room" ON view.booking (lower(room)) INCLUDE (status) WHERE NOT erased"#)
        .await;
    hotel.publish(&history).await;
    let service = hotel.serve().await;
    hotel.applied("booking", 6_000).await;
    hotel.applied("account", 800).await;
    service.end().await;
    let tables = ["booking", "account"];
    let mut before = BTreeMap::new();
    for table in tables {
        before.insert(table, (hotel.rows(table).await, hotel.definition(table).await));
    }
    assert_eq!(before["booking"].0.len(), 1_500);

    hotel.execute("UPDATE view.booking SET room = 'wrong' WHERE NOT erased; DELETE FROM view.account").await;
    let (_listening, mut told) = hotel.listen().await;
    let log = hotel.rebuilt(&tables).await;
    let told: Vec<Value> = std::iter::from_fn(|| told.try_recv().ok()).collect();
    let anything = [("booking", json!("booking")), ("booking", json!("room_type")), ("account", json!(null))];
    let anything = anything.map(|(by, kind)| json!({"by": by, "kind": kind, "ids": null}));
    assert_eq!(told, anything, "at the swap and only then");
    assert!(log.contains("booking: loaded 1500 rows") && log.contains("account: loaded 200 rows"), "{log}");
    for table in tables {
        assert_eq!((hotel.rows(table).await, hotel.definition(table).await), before[table], "{table}");
    }
    hotel.assert_tidy().await;
    hotel.applied("booking", 6_000).await;

    let elsewhere = Hotel { views: Views::create("rebuild-fresh").await, ..hotel };
    elsewhere.rebuilt(&[]).await;
    for table in tables {
        assert_eq!(elsewhere.rows(table).await, before[table].0, "{table}");
    }
    elsewhere.assert_tidy().await;
    let service = elsewhere.serve().await;
    let renamed = account("a1", 5, "Ada the last");
    elsewhere.publish(std::slice::from_ref(&renamed)).await;
    let data = service.ask(r#"{ account(id: "a1") { name } }"#, &[&renamed]).await;
    assert_eq!(data["account"]["name"], "Ada the last");
    service.end().await;
}

/// Given an instance that serves and events that keep coming, when the view is rebuilt again and again, then no query fails,
/// none goes back, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn queries_neither_fail_nor_go_back_meanwhile() {
    const ACCOUNTS: i64 = 8;
    let hotel = Hotel::open("rebuild-serving").await;
    let (service, other) = (hotel.serve().await, hotel.serve().await);
    let stop = CancellationToken::new();
    let fill = async {
        let mut version = 1;
        while !stop.is_cancelled() {
            let batch: Vec<_> = (0..ACCOUNTS).map(|id| account(&format!("a{id}"), version, "Ada")).collect();
            hotel.publish(&batch).await;
            version += 1;
        }
        version - 1
    };
    let ask = async |service: &Service| {
        let mut seen: BTreeMap<String, i64> = BTreeMap::new();
        let mut queries = 0;
        let asked: Vec<_> = (0..ACCOUNTS).map(|id| format!(r#"a{id}: account(id: "a{id}") {{ version }}"#)).collect();
        let query = json!({"query": format!("{{ {} }}", asked.join(" "))});
        while !stop.is_cancelled() {
            let request = service.http.post(format!("{}/graphql", service.url)).json(&query);
            let answer: Value = request.send().await.unwrap().json().await.unwrap();
            assert_eq!(answer["errors"], Value::Null);
            for (id, account) in answer["data"].as_object().unwrap() {
                let version = account["version"].as_i64().unwrap_or_default();
                let before = seen.insert(id.clone(), version).unwrap_or_default();
                assert!(version >= before, "{id} goes back from {before} to {version}");
            }
            queries += 1;
        }
        queries
    };
    let rebuild = async {
        for _ in 0..3 {
            hotel.rebuilt(&["account"]).await;
        }
        stop.cancel();
    };
    let (last, queries, others, ()) = tokio::join!(fill, ask(&service), ask(&other), rebuild);
    assert!(queries.min(others) > 50, "{queries} and {others} queries");
    let lasts: Vec<_> = (0..ACCOUNTS).map(|id| account(&format!("a{id}"), last, "Ada")).collect();
    let data = service.ask(r#"{ account(id: "a0") { version } }"#, &lasts.iter().collect::<Vec<_>>()).await;
    assert_eq!(data["account"]["version"], last);
    let versions: Vec<_> = hotel.rows("account").await.iter().map(|row| row["version"].as_i64().unwrap()).collect();
    assert_eq!(versions, vec![last; usize::try_from(ACCOUNTS).unwrap()]);
    hotel.assert_tidy().await;
    service.end().await;
    other.end().await;
}

/// Given a rebuild that is killed in each stage, standing still there, when it is run again each time, then it goes on, and what
/// comes out is the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_killed_in_any_stage_goes_on() {
    let hotel = Hotel::open("rebuild-killed").await;
    let history = a_history();
    hotel.publish(&history).await;
    let service = hotel.serve().await;
    hotel.applied("booking", 6_000).await;
    service.end().await;
    let before = hotel.rows("booking").await;
    hotel.execute("UPDATE view.booking SET room = 'wrong' WHERE NOT erased").await;
    hotel.make_gates().await;
    let wrong = hotel.rows("booking").await;
    let mut read = BTreeMap::new();
    let stages = [
        (Gate::Offset, "reading its topic", "next_offset"),
        (Gate::Row, "loading", "COPY"),
        (Gate::Index, "making its indexes", "CREATE INDEX"),
        (Gate::Offset, "following its topic", "next_offset"),
        (Gate::Swap, "following its topic", "SET generation"),
    ];
    for (number, (gate, stage, statement)) in stages.into_iter().enumerate() {
        if number == 3 {
            // So that there is something to follow, which changes nothing.
            hotel.publish(&history[..200]).await;
        }
        let shut = hotel.shut(gate).await;
        let process = hotel.rebuild(&["booking"]);
        hotel.stands_still(&process, stage, statement).await;
        match number {
            0 => {
                let written = async || Ok::<_, String>(Some(hotel.runs()).filter(|runs| !runs.is_empty()));
                read = eventually("the other partitions are read", SOON, written).await;
            }
            1 => {
                let runs = hotel.runs();
                assert!(read.iter().all(|(file, at)| runs.get(file) == Some(at)), "{runs:?} go on from {read:?}");
            }
            _ => {}
        }
        assert_eq!(process.log().contains("going on where an earlier rebuild was"), number > 0, "{}", process.log());
        process.kill().await.unwrap();
        shut.open().await;
        hotel.nobody_is_connected().await;
        assert!(hotel.rows("booking").await == wrong, "it has not been touched while {stage}");
    }
    let log = hotel.rebuilt(&["booking"]).await;
    assert!(log.contains("going on where an earlier rebuild was") && !log.contains("reading its topic"), "{log}");
    assert_eq!(hotel.rows("booking").await, before);
    hotel.assert_tidy().await;
}

/// Given a rebuild that reads, when it is told to stop, then it says what to do, and another one goes on.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_stopped_goes_on() {
    let hotel = Hotel::open("rebuild-stopped").await;
    hotel.publish(&a_history()).await;
    hotel.make_gates().await;
    let shut = hotel.shut(Gate::Offset).await;
    let process = hotel.rebuild(&["booking"]);
    hotel.stands_still(&process, "reading its topic", "next_offset").await;
    let ended = process.terminate(SOON).await.unwrap();
    assert!(!ended.success() && process.log().contains("goes on where it was"), "{}", process.log());
    shut.open().await;
    let log = hotel.rebuilt(&["booking"]).await;
    assert!(log.contains("going on where an earlier rebuild was"), "{log}");
    assert_eq!(hotel.rows("booking").await.len(), 1_500);
}

/// Given a rebuild that reads, when its connections are lost while it is paused, then another one is refused in its directory, and
/// starts over in another; and the first ends when it wakes up, and has spoilt nothing.
#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_lose_nothing() {
    let hotel = Hotel::open("rebuild-twice").await;
    hotel.publish(&a_history()).await;
    let service = hotel.serve().await;
    hotel.applied("booking", 6_000).await;
    service.end().await;
    let before = hotel.rows("booking").await;
    hotel.make_gates().await;
    let elsewhere =
        Hotel { views: hotel.views.clone(), prefix: hotel.prefix.clone(), runs: tempfile::tempdir().unwrap() };
    let shut = hotel.shut(Gate::Offset).await;
    let first = hotel.rebuild(&["booking"]);
    hotel.stands_still(&first, "reading its topic", "next_offset").await;
    let log = elsewhere.refused(&["booking"]).await;
    assert!(log.contains("another rebuild of booking is under way"), "{log}");

    first.pause().unwrap();
    hotel.disconnect().await;
    let log = hotel.refused(&["booking"]).await;
    assert!(log.contains("still uses the directory"), "{log}");
    hotel.nobody_is_connected().await;
    let second = elsewhere.rebuild(&["booking"]);
    hotel.stands_still(&second, "reading its topic", "next_offset").await;
    assert!(second.log().contains("not in this directory: starting over"), "{}", second.log());
    first.resume().unwrap();
    let ended = first.wait(SOON).await.unwrap();
    assert!(!ended.success() && first.log().contains("was lost; run it again"), "{}", first.log());
    shut.open().await;
    let ended = second.wait(BOUND).await.unwrap();
    assert!(ended.success() && second.log().contains("loaded 1500 rows"), "{}", second.log());
    assert_eq!(hotel.rows("booking").await, before);
    hotel.assert_tidy().await;
}

/// Given the table of a rebuild, when another one replaces it or is about to, then who filled it is told to try later, and so moves
/// no offset.
#[tokio::test]
async fn who_fills_what_was_replaced_is_held_up() {
    let views = Views::create("rebuild-fenced").await;
    let mut owner = views.owner().await;
    let make = async || -> u32 {
        let make = "DROP TABLE IF EXISTS view.account_rebuild;
            CREATE TABLE view.account_rebuild (LIKE view.account INCLUDING ALL)";
        owner.batch_execute(make).await.unwrap();
        owner.query_one("SELECT 'view.account_rebuild'::regclass::oid", &[]).await.unwrap().get(0)
    };
    let first = Anew::of(View::Account, make().await);
    let mut filling = views.owner().await;
    let mut fill = async |anew: &Anew| {
        let row = anew.decode(&account("a1", 1, "Ada")).unwrap().unwrap();
        let transaction = filling.transaction().await.unwrap();
        anew.apply(&transaction, &[row]).await
    };
    fill(&first).await.unwrap();
    let second = Anew::of(View::Account, make().await);
    assert!(matches!(fill(&first).await, Err(Unapplied::Delayed(_))));
    fill(&second).await.unwrap();
    let replacing = owner.transaction().await.unwrap();
    replacing.batch_execute("DROP TABLE view.account_rebuild").await.unwrap();
    assert!(matches!(fill(&second).await, Err(Unapplied::Delayed(_))));
    replacing.commit().await.unwrap();
    assert!(matches!(fill(&second).await, Err(Unapplied::Delayed(_))));
}

/// Given a version that is served and that the database refuses by now, when the view is rebuilt, then it is not put in place with
/// an older one; and it is, once a later version is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_would_go_back_is_refused() {
    let hotel = Hotel::open("rebuild-back").await;
    hotel.publish(&[account("a1", 1, "Ada"), account("a1", 2, "Mallory"), account("a2", 1, "Bob")]).await;
    let service = hotel.serve().await;
    hotel.applied("account", 3).await;
    service.end().await;
    let before = hotel.rows("account").await;
    hotel.execute("ALTER TABLE view.account ADD CONSTRAINT honest CHECK (name <> 'Mallory') NOT VALID").await;
    let log = hotel.refused(&["account"]).await;
    for part in ["1 of view.account's aggregates would go back, such as a1", "inbox list", "--start-over"] {
        assert!(log.contains(part), "{part} is not in {log}");
    }
    assert_eq!(hotel.rows("account").await, before);
    hotel.publish(&[account("a1", 3, "Ada")]).await;
    let log = hotel.rebuilt(&["account"]).await;
    assert!(log.contains("going on where") && log.contains("nothing is parked"), "{log}");
    assert_eq!(hotel.rows("account").await[0]["version"], 3);
    hotel.assert_tidy().await;
}

/// Given a rebuild that was ended when a migration has changed the view, when it is run again, then it starts over, and the view
/// keeps what the migration made.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_been_changed_meanwhile_is_begun_anew() {
    let hotel = Hotel::open("rebuild-changed").await;
    hotel.publish(&[account("a1", 1, "Ada")]).await;
    let mut reader = hotel.views.owner().await;
    let reading = reader.transaction().await.unwrap();
    reading.batch_execute("LOCK TABLE view.account IN ACCESS SHARE MODE").await.unwrap();
    let process = hotel.rebuild(&["account"]);
    eventually("it is loaded", SOON, async || {
        if process.log().contains("following") { Ok(Some(())) } else { Err(process.log()) }
    })
    .await;
    process.kill().await.unwrap();
    reading.rollback().await.unwrap();
    hotel.execute("ALTER TABLE view.account ADD COLUMN shoe_size integer").await;
    let before = hotel.definition("account").await;
    let log = hotel.rebuilt(&["account"]).await;
    assert!(log.contains("starting over") && log.contains("loaded 1 rows"), "{log}");
    assert_eq!(hotel.definition("account").await, before);
    assert_eq!(hotel.rows("account").await.len(), 1);
    hotel.assert_tidy().await;
}

/// Given events that cannot be read, and one that the database refuses, when the view is rebuilt, then the same is set aside as
/// the intake had set aside, and nothing else is lost.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_applied_is_set_aside_anew() {
    let hotel = Hotel::open("rebuild-poison").await;
    let spoilt = |mut delivery: Delivery| {
        delivery.document = Some("not JSON".into());
        delivery
    };
    let events = [
        account("a1", 1, "Ada"),
        spoilt(account("a2", 1, "Bob")),
        account("a2", 2, "Bob"),
        account("a3", 1, "Cy"),
        spoilt(account("a3", 2, "Cyd")),
        account("a4", 1, "Dot"),
        account("a4", 2, "Mallory"),
    ];
    hotel.publish(&events).await;
    let service = hotel.serve().await;
    hotel.applied("account", events.len()).await;
    let before = hotel.rows("account").await;
    let letters = hotel.letters().await;
    assert_eq!((before.len(), letters.len()), (4, 1), "{letters:?}");
    let log = hotel.rebuilt(&["account"]).await;
    assert!(log.contains("loaded 4 rows") && log.contains("1 aggregate is parked"), "{log}");
    assert_eq!((hotel.rows("account").await, hotel.letters().await), (before, letters));

    // From now on the database refuses one that is there.
    hotel.execute("DELETE FROM view.account WHERE id = 'a4'").await;
    hotel.execute("ALTER TABLE view.account ADD CONSTRAINT honest CHECK (name <> 'Mallory')").await;
    let log = hotel.rebuilt(&["account"]).await;
    for part in ["filling it message by message", "honest", "2 aggregates are parked"] {
        assert!(log.contains(part), "{part} is not in {log}");
    }
    assert!(!log.contains("Mallory"), "what is personal is not told: {log}");
    let rows = hotel.rows("account").await;
    assert_eq!((rows.len(), &rows[3]["name"]), (4, &json!("Dot")), "the last version that it takes");
    let letters = hotel.letters().await;
    let of_a4 = letters.iter().find(|letter| letter["aggregate"] == "a4");
    let refusal = of_a4.map(|letter| letter["error"].to_string()).unwrap_or_default();
    assert!(letters.len() == 2 && refusal.contains("honest"), "{letters:?}");
    hotel.assert_tidy().await;
    hotel.execute("ALTER TABLE view.account DROP CONSTRAINT honest").await;
    let environment = [("DATABASE_URL", hotel.views.service_url.as_str())];
    let retry = ["inbox", "retry", "--handler", "account", "--aggregate", "a4"];
    let retried = Process::spawn("read-service", retry, &environment).unwrap();
    assert!(retried.wait(SOON).await.unwrap().success(), "{}", retried.log());
    assert_eq!(hotel.rows("account").await[3]["name"], "Mallory");
    let (live, letters) = (hotel.rows("account").await, hotel.letters().await);
    assert_eq!(letters.len(), 1, "{letters:?}");
    let log = hotel.rebuilt(&["account"]).await;
    assert!(log.contains("loaded 4 rows"), "{log}");
    assert_eq!((hotel.rows("account").await, hotel.letters().await), (live, letters));
    service.end().await;
}

/// Given a view that stands still, since its offsets are not in the topic, when it is rebuilt as its health says, then it goes
/// on, without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_stands_still_is_mended() {
    let hotel = Hotel::open("rebuild-mends").await;
    hotel.publish(&[account("a1", 1, "Ada")]).await;
    let service = hotel.serve().await;
    hotel.applied("account", 1).await;
    service.end().await;
    hotel.execute("UPDATE view.inbox_offset SET next_offset = 1000 WHERE handler = 'account'").await;
    let service = Service::start(hotel.views.service(), &hotel.prefix).await;
    eventually("it names the remedy", SOON, async || {
        let text = service.http.get(format!("{}/readyz", service.url)).send().await.unwrap().text().await.unwrap();
        if text.contains("`read-service rebuild account`") { Ok(Some(())) } else { Err(text) }
    })
    .await;
    let renamed = account("a1", 2, "Ada Peeters");
    hotel.publish(std::slice::from_ref(&renamed)).await;
    hotel.rebuilt(&["account"]).await;
    service.ready().await;
    let last = account("a1", 3, "Ada P.");
    hotel.publish(std::slice::from_ref(&last)).await;
    let data = service.ask(r#"{ account(id: "a1") { name } }"#, &[&last]).await;
    assert_eq!(data["account"]["name"], "Ada P.");
    service.end().await;
}

/// What cannot be done is refused with what to do, and touches nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_rebuilt_is_refused() {
    let hotel = Hotel::open("rebuild-refused").await;
    let log = hotel.refused(&["acount", "event", "--memory-mib", "0"]).await;
    for part in ["3 problems", "no view \"acount\"", "site_booking", "the journal cannot be rebuilt", "MEMORY_MIB"] {
        assert!(log.contains(part), "{part} is not in {log}");
    }
    let owner = hotel.views.owner().await;
    let lock = "SELECT pg_advisory_lock(hashtext('read-service'), hashtext('rebuild account'))";
    owner.query(lock, &[]).await.unwrap();
    let log = hotel.refused(&["account"]).await;
    assert!(log.contains("another rebuild of account is under way"), "{log}");
    hotel.execute("CREATE VIEW view.of_somebody AS SELECT name FROM view.guest").await;
    let log = hotel.refused(&["guest"]).await;
    assert!(log.contains("view view.of_somebody") && log.contains("Drop it"), "{log}");

    let spoilt: Vec<_> = (0..40)
        .map(|id| {
            let mut delivery = booking(&format!("b{id}"), 1, "2026-03-01", &json!({}));
            delivery.document = Some("not JSON".into());
            delivery
        })
        .collect();
    hotel.publish(&spoilt).await;
    let log = hotel.refused(&["booking", "--max-parked-aggregates", "2"]).await;
    assert!(log.contains("standing still") && log.contains("has not been touched"), "{log}");
    hotel.publish(&[booking("b40", 1, "2026-03-01", &json!({}))]).await;
    let log = hotel.rebuilt(&["booking", "--start-over"]).await;
    assert!(log.contains("loaded 1 rows"), "{log}");
    hotel.assert_tidy().await;
}
