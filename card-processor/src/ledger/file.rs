//! The ledger's file: JSON, a line for each entry, only ever appended to. A line is whole when its end is there; what a crash
//! left of the last one was told to nobody, and is cut off at the next start.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{book::Book, entry::Entry};

/// Why a ledger cannot be used. None of these goes away by itself.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file system said no.
    #[error("the ledger {} cannot be {action}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Two that write to one file would not know each other's keys.
    #[error("the ledger {} is in use by another process; give each its own, or end the other", .0.display())]
    InUse(PathBuf),
    /// A line is no entry, or contradicts those before it.
    #[error("{}:{line}: not an entry of a ledger: {reason}; put the file right, or move it away", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1 on.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Its thread has ended.
    #[error("the ledger's thread has ended")]
    Stopped,
}

/// A ledger that is open for writing, by this process alone.
pub(super) struct LedgerFile {
    path: PathBuf,
    file: File,
}

/// What a file holds.
struct Content {
    book: Book,
    /// How long the whole lines are, in bytes.
    whole: u64,
    /// How much comes after them.
    torn: usize,
}

impl LedgerFile {
    /// Opens or creates the file and reads it.
    pub(super) fn open(path: PathBuf) -> Result<(Self, Book), LedgerError> {
        let opened = OpenOptions::new().create(true).read(true).append(true).open(&path);
        let file = opened.map_err(|source| failed(&path, "opened", source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LedgerError::InUse(path)),
            Err(TryLockError::Error(source)) => return Err(failed(&path, "locked", source)),
        }
        let content = content(&file, &path)?;
        if content.torn > 0 {
            tracing::warn!(ledger = %path.display(), bytes = content.torn, "the last line was not whole and is cut off");
            file.set_len(content.whole).map_err(|source| failed(&path, "cut", source))?;
        }
        // The file itself has to be there after a crash, too.
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let kept = file.sync_all().and_then(|()| File::open(directory)?.sync_all());
        kept.map_err(|source| failed(&path, "flushed", source))?;
        Ok((Self { path, file }, content.book))
    }

    /// One that fails when it is written to.
    #[cfg(test)]
    pub(super) fn unwritable(path: &Path) -> Self {
        Self { path: path.to_owned(), file: File::open(path).unwrap() }
    }

    /// Writes entries and flushes them to disk. After an error nobody knows what the file holds, until it is opened again.
    pub(super) fn append(&mut self, entries: &[Arc<Entry>]) -> Result<(), LedgerError> {
        if entries.is_empty() {
            return Ok(());
        }
        let written = lines(entries).and_then(|lines| self.file.write_all(&lines)).and_then(|()| self.file.sync_data());
        written.map_err(|source| failed(&self.path, "written", source))
    }
}

/// The book that a file makes, whoever else has it open.
pub(super) fn read(path: &Path) -> Result<Book, LedgerError> {
    let file = File::open(path).map_err(|source| failed(path, "opened", source))?;
    Ok(content(&file, path)?.book)
}

fn lines(entries: &[Arc<Entry>]) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut lines, &**entry)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

fn content(file: &File, path: &Path) -> Result<Content, LedgerError> {
    let mut content = Content { book: Book::default(), whole: 0, torn: 0 };
    let (mut file, mut line) = (BufReader::new(file), Vec::new());
    for number in 1.. {
        line.clear();
        let length = file.read_until(b'\n', &mut line).map_err(|source| failed(path, "read", source))?;
        if line.pop_if(|byte| *byte == b'\n').is_none() {
            content.torn = length;
            break;
        }
        let malformed = |reason| LedgerError::Malformed { path: path.to_owned(), line: number, reason };
        let entry: Entry = serde_json::from_slice(&line).map_err(|error| malformed(error.to_string()))?;
        content.book.restore(entry).map_err(|error| malformed(error.to_string()))?;
        content.whole += length as u64;
    }
    Ok(content)
}

fn failed(path: &Path, action: &'static str, source: io::Error) -> LedgerError {
    LedgerError::File { path: path.to_owned(), action, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = r#"{"id":"ch_1","key":"a","kind":"charge","status":"succeeded","cardToken":"tok_visa","amountMinor":7500,"currency":"EUR","reference":"b-1","at":"2026-01-02T03:04:05.678Z"}"#;

    fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.jsonl");
        std::fs::write(&path, text).unwrap();
        (directory, path)
    }

    fn malformed(text: &str) -> (usize, String) {
        let (_directory, path) = written(text);
        match LedgerFile::open(path).err() {
            Some(LedgerError::Malformed { line, reason, .. }) => (line, reason),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn wherever_a_crash_cut_the_last_line_the_others_are_kept() {
        let second = FIRST.replace("\"a\"", "\"b\"");
        for cut in 0..=second.len() {
            let (_directory, path) = written(&format!("{FIRST}\n{}", &second[..cut]));
            // A reader leaves the rest alone; the one who writes cuts it off.
            assert_eq!(read(&path).unwrap().entries().len(), 1);
            let (mut file, book) = LedgerFile::open(path.clone()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{FIRST}\n"));
            file.append(&[Arc::new(serde_json::from_str(&second).unwrap())]).unwrap();
            assert_eq!((book.entries().len(), read(&path).unwrap().entries().len()), (1, 2));
        }
    }

    #[test]
    fn any_other_malformed_line_is_named() {
        assert_eq!(malformed("\n").0, 1);
        assert_eq!(malformed(&format!("{FIRST}\nrubbish\n")).0, 2);
        assert_eq!(malformed(&format!("{}\n{FIRST}\n", &FIRST[..20])).0, 1);
        let (line, reason) = malformed(&format!("{FIRST}\n{FIRST}\n"));
        assert!(line == 2 && reason.contains("same key"), "{reason}");
        let (_, reason) = malformed(&format!("{}\n", FIRST.replace("tok_visa", "4242424242424242")));
        assert!(reason.contains("card's number"), "{reason}");
    }

    #[test]
    fn two_do_not_write_to_one_file() {
        let (_directory, path) = written("");
        let first = LedgerFile::open(path.clone()).unwrap();
        assert!(matches!(LedgerFile::open(path.clone()), Err(LedgerError::InUse(_))));
        drop(first);
        assert!(LedgerFile::open(path).is_ok());
    }
}
