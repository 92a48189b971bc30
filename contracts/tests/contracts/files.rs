//! Files of this repository: what is generated and checked in, and what is there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// A path in this crate's folder.
pub(crate) fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// A JSON file's content.
pub(crate) fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names in a folder of this crate, in their order.
pub(crate) fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(path(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Fails unless the file is what is generated. Whoever has meant it to change sets `UPDATE_SCHEMAS`.
pub(crate) fn assert_current(relative: &str, generated: &Value) {
    let path = path(relative);
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        write(&path, generated);
    }
    assert!(
        path.exists() && json(&path) == *generated,
        "contracts/{relative} is not current: UPDATE_SCHEMAS=1 cargo test -p contracts, then look at the difference"
    );
}

/// Writes a JSON file for people to read.
pub(crate) fn write(path: &Path, value: &Value) {
    fs::write(path, format!("{value:#}\n")).unwrap();
}
