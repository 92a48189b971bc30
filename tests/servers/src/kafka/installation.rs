//! Where Kafka's jars and Java are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The version of Apache Kafka that tests run on; `kafka/pom.xml` names the same.
pub const VERSION: &str = "4.3.0";
const HOME: &str = "WAYBILL_KAFKA_HOME";

/// A Java and a directory with all jars of a Kafka broker.
#[derive(Debug)]
pub(super) struct Installation {
    java: PathBuf,
    jars: PathBuf,
}

impl Installation {
    /// The jars of `$WAYBILL_KAFKA_HOME` or of `target/kafka-VERSION` in this workspace; a Java that runs.
    pub(super) fn find() -> Result<Self> {
        let jars = match std::env::var_os(HOME) {
            Some(home) => PathBuf::from(home),
            None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target").join(format!("kafka-{VERSION}")),
        };
        if !has_broker(&jars) {
            bail!("Apache Kafka's jars are not in {}: run `make setup-tests`, or set {HOME}", jars.display());
        }
        let java =
            java().context("no Java runs here: run `make setup-tests`, or set JAVA_HOME to a Java 17 or newer")?;
        let jars = jars.canonicalize().with_context(|| format!("cannot resolve {}", jars.display()))?;
        Ok(Self { java, jars })
    }

    /// Java with Kafka's classes; the main class and its arguments are still to be added.
    pub(super) fn java(&self) -> Command {
        let mut command = Command::new(&self.java);
        command.arg("-cp").arg(self.jars.join("*"));
        command
    }
}

/// The first that runs; macOS has a `java` on its path that only says where to get one.
fn java() -> Option<PathBuf> {
    std::env::var_os("JAVA_HOME")
        .map(|home| PathBuf::from(home).join("bin/java"))
        .into_iter()
        .chain(["java", "/opt/homebrew/opt/openjdk/bin/java", "/usr/local/opt/openjdk/bin/java"].map(PathBuf::from))
        .find(|java| Command::new(java).arg("-version").output().is_ok_and(|output| output.status.success()))
}

/// Also `libs/` of an unpacked Kafka release would do, whatever its version.
fn has_broker(jars: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(jars) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("kafka_2.13-") && name.ends_with(".jar")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_that_setup_fetches() {
        let pom = include_str!("../../kafka/pom.xml");
        assert!(pom.contains(&format!("<kafka.version>{VERSION}</kafka.version>")));
    }
}
