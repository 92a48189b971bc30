//! The ledger: one thread owns the book and the file. Wishes come to it one after the other; those that wait are decided
//! together, written together and flushed once, and only then is anybody told.

mod file;

use std::{path::Path, sync::Arc};

use chrono::Utc;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use uuid::Uuid;

use crate::{
    book::{Book, Decision, Stamp},
    entry::{Entry, Wish},
    fields::{Key, Reference},
};
pub use file::LedgerError;
use file::LedgerFile;

/// So many wishes share one flush at most.
const BATCH: usize = 256;

/// A handle on the ledger of a running processor; or, by [`Ledger::read`], what is in a file.
#[derive(Clone)]
pub struct Ledger {
    jobs: mpsc::Sender<Job>,
}

/// The ledger has failed: what becomes of a wish is not known.
#[derive(Debug)]
pub(crate) struct Gone;

enum Job {
    Decide { key: Key, wish: Wish, decline: bool, reply: oneshot::Sender<Decision> },
    List { reference: Option<Reference>, reply: oneshot::Sender<Vec<Arc<Entry>>> },
}

/// What is told once everything is on disk. Who asked may have gone: it is in the ledger all the same.
enum Reply {
    Decided(oneshot::Sender<Decision>, Decision),
    Listed(oneshot::Sender<Vec<Arc<Entry>>>, Vec<Arc<Entry>>),
}

impl Ledger {
    /// All entries of a file, which a processor may be writing to: a last line that is not whole is left out. It blocks.
    ///
    /// # Errors
    /// When the file cannot be read, or a line of it, which is named.
    pub fn read(path: &Path) -> Result<Vec<Entry>, LedgerError> {
        let book = file::read(path)?;
        Ok(book.entries().iter().map(|entry| Entry::clone(entry)).collect())
    }

    /// Opens the file, or begins an empty ledger in memory. The task ends when no handle is left, or with an error.
    pub(crate) async fn open(path: Option<&Path>) -> Result<(Self, JoinHandle<Result<(), LedgerError>>), LedgerError> {
        let path = path.map(Path::to_owned);
        let opened =
            tokio::task::spawn_blocking(move || path.map(LedgerFile::open).transpose().map(|opened| opened.unzip()));
        let (file, book) = opened.await.map_err(|_| LedgerError::Stopped)??;
        let (jobs, waiting) = mpsc::channel(BATCH);
        let task = tokio::task::spawn_blocking(move || run(book.unwrap_or_default(), file, waiting));
        Ok((Self { jobs }, task))
    }

    /// Puts a wish to the book. What is new is on disk when this returns, and gets there also when nobody waits any more.
    pub(crate) async fn decide(&self, key: Key, wish: Wish, decline: bool) -> Result<Decision, Gone> {
        self.ask(|reply| Job::Decide { key, wish, decline, reply }).await
    }

    /// The entries in order: all, or those with this reference.
    pub(crate) async fn list(&self, reference: Option<Reference>) -> Result<Vec<Arc<Entry>>, Gone> {
        self.ask(|reply| Job::List { reference, reply }).await
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, Gone> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).await.map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }
}

fn run(mut book: Book, mut file: Option<LedgerFile>, mut jobs: mpsc::Receiver<Job>) -> Result<(), LedgerError> {
    let mut batch = Vec::with_capacity(BATCH);
    while jobs.blocking_recv_many(&mut batch, BATCH) > 0 {
        let before = book.entries().len();
        let replies: Vec<_> = batch.drain(..).map(|job| done(&mut book, job)).collect();
        if let Some(file) = &mut file {
            file.append(&book.entries()[before..])?;
        }
        for reply in replies {
            match reply {
                Reply::Decided(asker, decision) => drop(asker.send(decision)),
                Reply::Listed(asker, entries) => drop(asker.send(entries)),
            }
        }
    }
    Ok(())
}

fn done(book: &mut Book, job: Job) -> Reply {
    match job {
        Job::Decide { key, wish, decline, reply } => {
            let stamp = Stamp { id: Uuid::now_v7(), at: Utc::now() };
            Reply::Decided(reply, book.decide(&key, &wish, decline, stamp))
        }
        Job::List { reference, reply } => {
            let wanted = |entry: &&Arc<Entry>| reference.as_ref().is_none_or(|wanted| entry.reference == *wanted);
            Reply::Listed(reply, book.entries().iter().filter(wanted).cloned().collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_written_is_not_told_and_ends_the_ledger() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (jobs, waiting) = mpsc::channel(BATCH);
        let file = LedgerFile::unwritable(file.path());
        let task = tokio::task::spawn_blocking(move || run(Book::default(), Some(file), waiting));
        let ledger = Ledger { jobs };
        assert!(ledger.list(None).await.is_ok_and(|entries| entries.is_empty()));
        let charge = r#"{"cardToken":"tok_visa","amountMinor":1,"currency":"EUR","reference":"b-1"}"#;
        let wish = Wish::Charge(serde_json::from_str(charge).unwrap());
        let key = Key::try_from("a".to_owned()).unwrap();
        assert!(ledger.decide(key.clone(), wish.clone(), false).await.is_err());
        assert!(ledger.decide(key, wish, false).await.is_err());
        assert!(matches!(task.await.unwrap(), Err(LedgerError::File { action: "written", .. })));
    }
}
