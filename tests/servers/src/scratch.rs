//! The directory of a throw-away server, removed with it.
//!
//! A process that is killed cannot remove anything; so each directory holds a lock file that its owner keeps locked,
//! and whoever makes the next directory first removes those whose owner is gone.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::unistd::Uid;
use tempfile::TempDir;

const PREFIX: &str = "waybill-";
const LOCK: &str = "owner.lock";
/// Younger directories are left alone: their owner may be about to lock them, their server about to stop.
const SETTLED: Duration = Duration::from_secs(60);

/// A temporary directory with the lock of its owner.
#[derive(Debug)]
pub(crate) struct Scratch {
    dir: TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes an empty directory, and removes those that killed processes have left behind.
    pub(crate) fn new(purpose: &str) -> Result<Self> {
        let parent = std::env::temp_dir();
        remove_abandoned(&parent);
        let dir = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{purpose}-"))
            .tempdir_in(&parent)
            .with_context(|| format!("cannot make a directory in {}", parent.display()))?;
        let lock = File::create(dir.path().join(LOCK))
            .and_then(|file| file.lock().map(|()| file))
            .with_context(|| format!("cannot lock {}", dir.path().display()))?;
        Ok(Self { dir, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The path of something in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Opens a log in it for a server's output, after what is already there.
    pub(crate) fn append(&self, name: &str) -> Result<File> {
        let path = self.join(name);
        File::options().create(true).append(true).open(&path).with_context(|| format!("cannot open {}", path.display()))
    }

    /// The end of a log in it, for an error message.
    pub(crate) fn tail(&self, name: &str) -> String {
        tail_of(&self.join(name)).unwrap_or_default()
    }
}

fn tail_of(path: &Path) -> io::Result<String> {
    const LENGTH: u64 = 3000;
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(LENGTH);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    Ok(String::from_utf8_lossy(&tail).into_owned())
}

fn remove_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && is_abandoned(&entry.path()) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

fn is_abandoned(dir: &Path) -> bool {
    let path = dir.join(LOCK);
    let ours = fs::symlink_metadata(&path).is_ok_and(|lock| {
        lock.is_file()
            && lock.uid() == Uid::effective().as_raw()
            && lock.modified().is_ok_and(|made| made.elapsed().is_ok_and(|age| age > SETTLED))
    });
    ours && File::open(&path).is_ok_and(|lock| lock.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn only_a_directory_whose_owner_is_gone_is_abandoned() {
        let scratch = Scratch::new("scratch-test").unwrap();
        let lock = File::options().write(true).open(scratch.join(LOCK)).unwrap();
        assert!(!is_abandoned(scratch.path()), "young and owned");
        lock.set_modified(SystemTime::now() - 2 * SETTLED).unwrap();
        assert!(!is_abandoned(scratch.path()), "old and owned");
        let Scratch { dir, _lock } = scratch;
        drop(_lock);
        assert!(is_abandoned(dir.path()), "old and nobody's");
        lock.set_modified(SystemTime::now()).unwrap();
        assert!(!is_abandoned(dir.path()), "young and nobody's");
    }

    #[test]
    fn the_directory_goes_with_its_owner() {
        let scratch = Scratch::new("scratch-test").unwrap();
        let path = scratch.path().to_owned();
        assert!(path.exists());
        drop(scratch);
        assert!(!path.exists());
    }
}
