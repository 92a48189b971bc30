//! A private Apache Kafka: one broker in KRaft mode, on free ports of 127.0.0.1 only, with its data in a temporary
//! directory. It ends with the process that started it.

mod installation;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::installation::Installation;
use crate::child::Child;
use crate::scratch::Scratch;
use crate::{ports, unique};

pub use self::installation::VERSION;

const LOG: &str = "kafka.log";
const START: Duration = Duration::from_secs(90);
const STOP: Duration = Duration::from_secs(30);
/// A port may be taken between the moment it was found free and the server's start.
const PORTS_TO_TRY: usize = 5;

/// What every broker here is set to; [`KafkaOptions::settings`] come after and win.
const SETTINGS: &[(&str, &str)] = &[
    ("node.id", "1"),
    ("process.roles", "broker,controller"),
    ("controller.listener.names", "CONTROLLER"),
    ("auto.create.topics.enable", "false"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("offsets.topic.replication.factor", "1"),
    ("offsets.topic.num.partitions", "4"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("transaction.state.log.num.partitions", "4"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("share.coordinator.state.topic.num.partitions", "4"),
    // A killed broker is let in again soon.
    ("broker.session.timeout.ms", "3000"),
    ("broker.heartbeat.interval.ms", "500"),
    // Many small topics, one small heap.
    ("log.index.size.max.bytes", "1048576"),
    ("log.cleaner.dedupe.buffer.size", "16777216"),
];

const LOGGING: &str = "\
status = warn
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c: %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
";

/// How a broker differs from the usual one.
#[derive(Clone, Debug, Default)]
pub struct KafkaOptions {
    /// Settings for `server.properties`, name and value.
    pub settings: Vec<(String, String)>,
    /// The security protocol of a second listener beside the plain one, such as `SASL_SSL`, which is its name too.
    pub second_listener: Option<String>,
    /// Further arguments for formatting the storage, such as `--add-scram` and its value.
    pub format_arguments: Vec<String>,
}

/// A private Kafka broker. Dropping it stops it and removes its data.
#[derive(Debug)]
pub struct Kafka {
    server: Option<Child>,
    installation: Installation,
    options: KafkaOptions,
    port: u16,
    second_port: u16,
    controller_port: u16,
    scratch: Scratch,
}

impl Kafka {
    /// Makes an empty broker and starts it.
    pub async fn start() -> Result<Self> {
        Self::start_with(KafkaOptions::default()).await
    }

    /// Makes an empty broker with settings of its own and starts it.
    pub async fn start_with(options: KafkaOptions) -> Result<Self> {
        let mut kafka = Self {
            server: None,
            installation: Installation::find()?,
            options,
            port: ports::free()?,
            second_port: ports::free()?,
            controller_port: ports::free()?,
            scratch: Scratch::new("kafka")?,
        };
        fs::write(kafka.scratch.join("log4j2.properties"), LOGGING).context("cannot write the logging settings")?;
        kafka.configure()?;
        kafka.format().await?;
        for _ in 1..PORTS_TO_TRY {
            match kafka.start_again().await {
                Err(error) if format!("{error:#}").contains("Address already in use") => {
                    fs::remove_file(kafka.scratch.join(LOG)).ok();
                    (kafka.port, kafka.controller_port) = (ports::free()?, ports::free()?);
                    kafka.configure()?;
                }
                result => return result.map(|()| kafka),
            }
        }
        kafka.start_again().await.map(|()| kafka)
    }

    /// `127.0.0.1:PORT`, which stays the same after a restart.
    pub fn bootstrap_servers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `127.0.0.1:PORT` of [`KafkaOptions::second_listener`].
    pub fn second_bootstrap_servers(&self) -> String {
        format!("127.0.0.1:{}", self.second_port)
    }

    /// The broker's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the broker, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().filter(|server| server.status().is_none()).map(Child::pid)
    }

    /// The end of what the broker has logged.
    pub fn log_tail(&self) -> String {
        self.scratch.tail(LOG)
    }

    /// Stops the broker in good order; port and data stay for [`Self::start_again`].
    pub async fn stop(&mut self) -> Result<()> {
        let Some(server) = self.server.take() else { return Ok(()) };
        server.signal(Signal::SIGTERM)?;
        if server.wait_at_most(STOP).await?.is_none() {
            server.kill().await?;
            bail!("Kafka did not stop within {STOP:?} and was killed; its log ends with:\n{}", self.log_tail());
        }
        Ok(())
    }

    /// Kills the broker; port and data stay for [`Self::start_again`].
    pub async fn kill(&mut self) -> Result<()> {
        match self.server.take() {
            Some(server) => server.kill().await.map(drop),
            None => Ok(()),
        }
    }

    /// Freezes the broker: connections stay open and nothing answers, as with a broker that has stalled.
    pub fn pause(&self) -> Result<()> {
        self.server.as_ref().map_or(Ok(()), |server| server.signal(Signal::SIGSTOP))
    }

    /// Lets a frozen broker go on.
    pub fn resume(&self) -> Result<()> {
        self.server.as_ref().map_or(Ok(()), |server| server.signal(Signal::SIGCONT))
    }

    /// Starts a stopped broker again, on the same port with the same data, and waits until it answers.
    pub async fn start_again(&mut self) -> Result<()> {
        if self.pid().is_some() {
            return Ok(());
        }
        let mut command = self.command(LOG)?;
        command.args(["-Xmx512m", "kafka.Kafka"]).arg(self.scratch.join("server.properties"));
        let server = Child::spawn(command, Signal::SIGKILL)?;
        // On failure the broker is dropped, hence killed.
        self.wait_until_ready(&server).await?;
        self.server = Some(server);
        Ok(())
    }

    async fn wait_until_ready(&self, server: &Child) -> Result<()> {
        let deadline = Instant::now() + START;
        let mut ticks = interval(Duration::from_millis(20));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(status) = server.status() {
                bail!("Kafka ended at its start ({status}); its log ends with:\n{}", self.log_tail());
            }
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() && self.answers().await? {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("Kafka was not ready within {START:?}; its log ends with:\n{}", self.log_tail());
            }
        }
    }

    /// Whether a client gets the cluster's metadata, with the broker in it.
    async fn answers(&self) -> Result<bool> {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", self.bootstrap_servers());
        let answer = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = client.create()?;
            consumer.fetch_metadata(None, Duration::from_secs(2))
        });
        Ok(answer.await?.is_ok_and(|metadata| !metadata.brokers().is_empty()))
    }

    /// Runs one of Kafka's command line tools, by its main class, with `--bootstrap-server` before its arguments.
    pub async fn tool(&self, class: &str, arguments: &[&str]) -> Result<()> {
        const OUTPUT: &str = "tool.log";
        let mut command = self.command(OUTPUT)?;
        command.args(["-XX:TieredStopAtLevel=1", class, "--bootstrap-server", &self.bootstrap_servers()]);
        command.args(arguments);
        let status = Child::spawn(command, Signal::SIGKILL)?.wait().await?;
        if !status.success() {
            bail!("{class} failed ({status}):\n{}", self.scratch.tail(OUTPUT));
        }
        Ok(())
    }

    fn configure(&self) -> Result<()> {
        let (port, controller) = (self.port, self.controller_port);
        let mut lines = String::new();
        let (second, protocols) = match &self.options.second_listener {
            Some(protocol) => {
                (format!(",{protocol}://127.0.0.1:{}", self.second_port), format!(",{protocol}:{protocol}"))
            }
            None => (String::new(), String::new()),
        };
        writeln!(lines, "listeners=PLAINTEXT://127.0.0.1:{port}{second},CONTROLLER://127.0.0.1:{controller}")?;
        writeln!(lines, "advertised.listeners=PLAINTEXT://127.0.0.1:{port}{second}")?;
        writeln!(lines, "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}")?;
        writeln!(lines, "controller.quorum.voters=1@127.0.0.1:{controller}")?;
        writeln!(lines, "log.dirs={}", self.scratch.join("data").display())?;
        let fixed = SETTINGS.iter().copied();
        let own = self.options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in fixed.chain(own) {
            writeln!(lines, "{name}={value}")?;
        }
        let path = self.scratch.join("server.properties");
        fs::write(&path, lines).with_context(|| format!("cannot write {}", path.display()))
    }

    async fn format(&self) -> Result<()> {
        const OUTPUT: &str = "format.log";
        // 21 letters of 6 bits and one of 2 bits make 128 bits in Kafka's spelling.
        let cluster = format!("{}A", unique::random_word(21));
        let mut command = self.command(OUTPUT)?;
        command
            .args(["-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format", "-t", &cluster, "-c"])
            .arg(self.scratch.join("server.properties"))
            .args(&self.options.format_arguments);
        let status = Child::spawn(command, Signal::SIGKILL)?.wait().await?;
        if !status.success() {
            bail!("formatting Kafka's storage failed ({status}):\n{}", self.scratch.tail(OUTPUT));
        }
        Ok(())
    }

    /// Java with Kafka's classes, in a process group of its own (Ctrl-C is for those who use the broker, not for the
    /// broker), with its output in a file.
    fn command(&self, output: &str) -> Result<Command> {
        let output = self.scratch.append(output)?;
        let mut logging = std::ffi::OsString::from("-Dlog4j2.configurationFile=");
        logging.push(self.scratch.join("log4j2.properties"));
        let mut command = self.installation.java();
        command
            .arg(logging)
            .current_dir(self.scratch.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("cannot share the log file")?)
            .stderr(output);
        Ok(command)
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        // The data are about to be removed: no need for good order. And the server goes before its directory.
        drop(self.server.take());
    }
}
