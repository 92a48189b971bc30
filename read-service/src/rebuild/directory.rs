//! Where runs are: a directory of one's own, since rows hold personal data.

use std::{
    fs::{self, DirBuilder},
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

/// The directory of one view's runs in one database.
pub(super) fn of_view(path: &Path, database: &str, view: &str) -> PathBuf {
    path.join(format!("{database}-{view}"))
}

/// Removes a view's, and the one around it if nothing else is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        removed => removed?,
    }
    // Another view's may be there.
    let _ = path.parent().map(fs::remove_dir);
    Ok(())
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
        remove(&of_view(&path, "7-16384", "booking")).unwrap();
        assert!(!path.exists());
    }
}
