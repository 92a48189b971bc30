//! Runs read side by side: the highest version of each id, in the order of the ids, whatever the runs' sizes.

use std::{
    cmp::Ordering,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufReader, Read, Write},
    path::Path,
};

use super::arena::id;

/// So much of each run is in memory.
const READ_AHEAD: usize = 64 << 10;

/// A row is not larger than a message, of which Kafka's largest are far below.
const LARGEST: usize = 1 << 30;

/// A row and its version.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) version: i64,
    pub(super) cells: Vec<u8>,
}

/// Writes a row as a run holds it. Gives how many bytes that takes.
pub(super) fn write(out: &mut impl Write, version: i64, cells: &[u8]) -> io::Result<u64> {
    let length = u32::try_from(cells.len()).map_err(io::Error::other)?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(&version.to_be_bytes())?;
    out.write_all(cells)?;
    Ok(u64::from(length) + 12)
}

/// A run that is being read.
struct Reader(BufReader<File>);

impl Reader {
    fn next(&mut self) -> io::Result<Option<Record>> {
        let mut head = [0; 12];
        if self.0.read(&mut head[..1])? == 0 {
            return Ok(None);
        }
        self.0.read_exact(&mut head[1..])?;
        let [a, b, c, d, version @ ..] = head;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > LARGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a run is damaged"));
        }
        let mut cells = vec![0; length];
        self.0.read_exact(&mut cells)?;
        Ok(Some(Record { version: i64::from_be_bytes(version), cells }))
    }
}

/// The next row of a run.
struct Head {
    record: Record,
    run: usize,
}

impl Head {
    fn key(&self) -> (&[u8], i64, usize) {
        (id(&self.record.cells), self.record.version, self.run)
    }
}

impl Ord for Head {
    /// The greatest comes first: the lowest id, of one id the highest version, of one version the oldest run's.
    fn cmp(&self, other: &Self) -> Ordering {
        let ((id, version, run), (other_id, other_version, other_run)) = (self.key(), other.key());
        other_id.cmp(id).then(version.cmp(&other_version)).then(other_run.cmp(&run))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Head {}

/// Several runs as one.
pub(super) struct Merge {
    runs: Vec<Reader>,
    heads: BinaryHeap<Head>,
    last: Option<Vec<u8>>,
}

impl Merge {
    /// Reads these runs, the oldest first.
    pub(super) fn of<'a>(files: impl Iterator<Item = impl AsRef<Path> + 'a>) -> io::Result<Self> {
        let open = |file| Ok(Reader(BufReader::with_capacity(READ_AHEAD, File::open(file)?)));
        let mut merge =
            Self { runs: files.map(open).collect::<io::Result<_>>()?, heads: BinaryHeap::new(), last: None };
        for run in 0..merge.runs.len() {
            merge.advance(run)?;
        }
        Ok(merge)
    }

    fn advance(&mut self, run: usize) -> io::Result<()> {
        let record = self.runs[run].next()?;
        self.heads.extend(record.map(|record| Head { record, run }));
        Ok(())
    }

    /// The next id's row.
    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        while let Some(Head { record, run }) = self.heads.pop() {
            self.advance(run)?;
            if self.last.as_deref() != Some(id(&record.cells)) {
                self.last = Some(id(&record.cells).to_vec());
                return Ok(Some(record));
            }
        }
        Ok(None)
    }
}
