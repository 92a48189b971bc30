//! Where the programs of PostgreSQL are installed, and as whom they may run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::unistd::{Uid, User};

const REMEDY: &str = "run `make setup`, or set PGBIN to the directory that holds `postgres` and `initdb`";

/// A directory with `postgres` and `initdb` of the same version.
#[derive(Debug)]
pub(super) struct Installation {
    bin: PathBuf,
}

impl Installation {
    /// `$PGBIN`, or else the first of: what pg_config says, the usual places of Linux and macOS (newest first), `$PATH`.
    pub(super) fn find() -> Result<Self> {
        if let Some(bin) = std::env::var_os("PGBIN").map(PathBuf::from) {
            if !is_complete(&bin) {
                bail!("PGBIN is {}, where there is no `postgres` and `initdb`", bin.display());
            }
            return Ok(Self { bin });
        }
        let bin = configured()
            .into_iter()
            .chain(usual_places())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()))
            .find(|bin| is_complete(bin))
            .with_context(|| format!("no PostgreSQL server is installed: {REMEDY}"))?;
        Ok(Self { bin })
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

fn is_complete(bin: &Path) -> bool {
    ["postgres", "initdb"].iter().all(|program| bin.join(program).is_file())
}

fn configured() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let bin = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(bin.trim()))
}

fn usual_places() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (parent, prefix, bin) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/opt/homebrew/opt", "postgresql@", "bin"),
        ("/usr/local/opt", "postgresql@", "bin"),
    ] {
        found.extend(versions(Path::new(parent), prefix).into_iter().map(|dir| dir.join(bin)));
    }
    found
}

/// The folders named `prefix` and a number, the highest number first.
fn versions(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path()))
        })
        .collect();
    versions.sort_by(|left, right| right.cmp(left));
    versions.into_iter().map(|(_, path)| path).collect()
}

/// PostgreSQL refuses to run as root: for root, the user as whom it runs instead.
pub(super) fn substitute_for_root() -> Result<Option<User>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name).with_context(|| format!("cannot look up the user {name}"))? {
            return Ok(Some(user));
        }
    }
    bail!("PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_versions_come_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["v9", "v17", "v15", "vold", "16"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let found: Vec<_> = versions(dir.path(), "v").iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(found, ["v17", "v15", "v9"]);
    }
}
