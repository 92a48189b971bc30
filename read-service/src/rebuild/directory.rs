//! Where runs are: a directory of one's own, since rows hold personal data, and of one rebuild at a time.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

/// Makes it, for its owner alone, unless it is there; then it has to be so already.
///
/// # Errors
/// When it cannot be made, belongs to somebody else, or others may write to it or read it.
pub(super) fn make(path: &Path) -> Result<(), String> {
    let at = |error: io::Error| format!("{}: {error}", path.display());
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made.map_err(at),
    }
    // A link could lead to another one tomorrow.
    let found = fs::symlink_metadata(path).map_err(at)?;
    let refused = |why: &str| Err(format!("{}: {why}", path.display()));
    if !found.is_dir() {
        return refused("is no directory");
    }
    if found.uid() != nix::unistd::geteuid().as_raw() {
        return refused("belongs to another user: name another directory");
    }
    if found.mode() & 0o077 != 0 {
        return refused("others may use it, and rows hold personal data: name a directory of your own (mode 700)");
    }
    Ok(())
}

/// The file that is locked.
const LOCK: &str = "lock";

/// The directory of one view's runs in one database, for as long as this lives: whoever else names it is refused.
pub(super) struct Held {
    path: PathBuf,
    _lock: File,
}

impl Held {
    /// Makes it where there is none. Gives nothing when another rebuild holds it.
    pub(super) fn take(around: &Path, database: &str, view: &str) -> io::Result<Option<Self>> {
        let path = around.join(format!("{database}-{view}"));
        loop {
            for path in [around, &path] {
                make(path).map_err(io::Error::other)?;
            }
            let lock = match File::options().create(true).truncate(false).write(true).open(path.join(LOCK)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Who held it may have removed it just before: then this is the lock of nothing.
            let ours = lock.metadata()?;
            if fs::metadata(path.join(LOCK)).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
                return Ok(Some(Self { path, _lock: lock }));
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it, and the one around it if nothing else is there.
    pub(super) fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        // Another view's may be there.
        let _ = self.path.parent().map(fs::remove_dir);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn only_a_directory_of_ones_own_will_do() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("runs");
        make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        make(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(make(&path).unwrap_err().contains("others may use it"));
        let link = around.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(make(&link).unwrap_err().contains("is no directory"));
        assert!(make(&path.join("a/b")).is_err());
    }

    #[test]
    fn one_at_a_time_holds_it_also_after_it_was_removed() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("runs");
        let take = || Held::take(&path, "7-16384", "booking").unwrap();
        let held = take().unwrap();
        assert!(take().is_none());
        assert!(Held::take(&path, "7-16384", "account").unwrap().is_some(), "another view's");
        held.remove().unwrap();
        let next = take().expect("the first holds what is gone");
        drop(held);
        assert!(take().is_none());
        fs::remove_dir_all(path.join("7-16384-account")).unwrap();
        next.remove().unwrap();
        assert!(!path.exists());
    }
}
