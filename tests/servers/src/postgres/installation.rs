//! Where the programs of PostgreSQL are installed, and as whom they may run.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::unistd::{Uid, User};

const REMEDY: &str = "run `make setup`, or set PGBIN to the directory that holds `postgres` and `initdb`";

/// The PostgreSQL 18 that tests run on; `postgres/pom.xml` names the same.
const EIGHTEEN: &str = "18.1.0";
const BIN_OF_EIGHTEEN: &str = "PGBIN_18";

/// Which of the PostgreSQL versions that tests run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Release {
    /// The one that is installed here.
    #[default]
    Installed,
    /// PostgreSQL 18, which `make setup-tests` fetches. It has no programs but the server's own.
    Eighteen,
}

/// A directory with `postgres` and `initdb` of the same version.
#[derive(Debug)]
pub(super) struct Installation {
    bin: PathBuf,
}

impl Installation {
    pub(super) fn find(release: Release) -> Result<Self> {
        match release {
            Release::Installed => Self::installed(),
            Release::Eighteen => Self::eighteen(),
        }
    }

    /// `$PGBIN_18`, or else `target/postgres-VERSION` in this workspace.
    fn eighteen() -> Result<Self> {
        let bin = match std::env::var_os(BIN_OF_EIGHTEEN) {
            Some(bin) => PathBuf::from(bin),
            None => Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/postgres-{EIGHTEEN}/bin")),
        };
        if !is_complete(&bin) {
            bail!(
                "PostgreSQL 18 is not in {}: run `make setup-tests`, or set {BIN_OF_EIGHTEEN} to the directory that \
                 holds its `postgres` and `initdb`",
                bin.display()
            );
        }
        let bin = bin.canonicalize().with_context(|| format!("cannot resolve {}", bin.display()))?;
        Ok(Self { bin })
    }

    /// The same in `dir` when the present place is closed to other users, such as a checkout in the home of root.
    pub(super) fn open_to_all(self, dir: &Path) -> Result<Self> {
        let is_open = |dir: &Path| dir.metadata().is_ok_and(|dir| dir.permissions().mode() & 0o001 != 0);
        let Some(root) = self.bin.parent().filter(|_| !self.bin.ancestors().all(is_open)) else { return Ok(self) };
        std::fs::create_dir(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let copied = Command::new("cp").arg("-a").arg(root.join(".")).arg(dir).status().context("cannot run cp")?;
        if !copied.success() {
            bail!("cannot copy {} to {}", root.display(), dir.display());
        }
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))?;
        Ok(Self { bin: dir.join("bin") })
    }

    /// `$PGBIN`, or else the first of: what pg_config says, the usual places of Linux and macOS (newest first), `$PATH`.
    fn installed() -> Result<Self> {
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
    fn the_version_is_the_one_that_setup_fetches() {
        let pom = include_str!("../../postgres/pom.xml");
        assert!(pom.contains(&format!("<postgres.version>{EIGHTEEN}</postgres.version>")));
    }

    #[test]
    fn a_place_that_is_closed_to_others_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("closed/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(bin.join("initdb"), "").unwrap();
        std::fs::set_permissions(dir.path().join("closed"), std::fs::Permissions::from_mode(0o700)).unwrap();
        let copy = Installation { bin }.open_to_all(&dir.path().join("copy")).unwrap();
        assert!(copy.program("initdb").starts_with(dir.path().join("copy")) && copy.program("initdb").is_file());
    }

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
