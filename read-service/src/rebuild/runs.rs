//! Sorted runs of rows on disk, and the manifest that says which of them count.
//!
//! A run is on the disk before the manifest names it, and the manifest is replaced at once, so that whatever is killed
//! when: what the manifest names is whole. It holds how far into each partition the runs reach, and of what they are: runs
//! for another table or of another topic do not count, and without its runs a table is begun anew: so a table's offsets are never
//! ahead of the runs of whoever reads for it. What is in memory stays bounded: once there are
//! many runs of one level they become one of the next.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    arena::Arena,
    merge::{self, Merge},
};

/// So many runs of a level become one.
const FAN_IN: usize = 64;

/// So much of a run is in memory before it is written.
const WRITE_BEHIND: usize = 256 << 10;

const MANIFEST: &str = "manifest.json";

/// Of what the rows are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// The object id of the table that they are for, which is of one program.
    pub(super) table: u32,
    /// The topic's name on the cluster.
    pub(super) topic: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    of: Origin,
    /// How many files there have been.
    files: u64,
    /// The oldest first.
    runs: Vec<Run>,
    /// Of each partition, the offset up to which all rows are in the runs.
    next: BTreeMap<i32, i64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Run {
    file: u64,
    level: u32,
    rows: u64,
    bytes: u64,
}

/// A run that is being written.
struct Writer {
    out: BufWriter<File>,
    run: Run,
}

impl Writer {
    fn put(&mut self, version: i64, cells: &[u8]) -> io::Result<()> {
        self.run.rows += 1;
        self.run.bytes += merge::write(&mut self.out, version, cells)?;
        Ok(())
    }

    /// The run, once it is on the disk.
    fn finish(self) -> io::Result<Run> {
        self.out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        Ok(self.run)
    }
}

/// The runs of one rebuild.
pub(super) struct Runs {
    directory: PathBuf,
    manifest: Manifest,
}

impl Runs {
    /// None yet. What is there of earlier ones is removed.
    pub(super) fn begin(directory: &Path, of: &Origin) -> io::Result<Self> {
        let manifest = Manifest { of: of.clone(), files: 0, runs: Vec::new(), next: BTreeMap::new() };
        Self { directory: directory.to_owned(), manifest }.alone()
    }

    /// What is there, if it is of the same and whole. What does not count is removed.
    pub(super) fn found(directory: &Path, of: &Origin) -> io::Result<Option<Self>> {
        let found = fs::read(directory.join(MANIFEST)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let Some(manifest) = found.filter(|found: &Manifest| found.of == *of) else { return Ok(None) };
        let runs = Self { directory: directory.to_owned(), manifest };
        let is_whole = |run: &Run| fs::metadata(runs.path(run.file)).is_ok_and(|file| file.len() == run.bytes);
        if !runs.manifest.runs.iter().all(is_whole) {
            return Ok(None);
        }
        runs.alone().map(Some)
    }

    /// Itself, once no other runs are there.
    fn alone(self) -> io::Result<Self> {
        self.record()?;
        let counts: Vec<_> = self.manifest.runs.iter().map(|run| self.path(run.file)).collect();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "run") && !counts.contains(&path) {
                fs::remove_file(&path)?;
            }
        }
        Ok(self)
    }

    /// How far into each partition they reach.
    pub(super) fn next(&self) -> &BTreeMap<i32, i64> {
        &self.manifest.next
    }

    /// At most so many rows come out of them.
    pub(super) fn rows(&self) -> u64 {
        self.manifest.runs.iter().map(|run| run.rows).sum()
    }

    /// Adds a run of these rows.
    pub(super) fn add(&mut self, mut arena: Arena) -> io::Result<()> {
        let mut out = self.writer(0)?;
        for (version, cells) in arena.sorted() {
            out.put(version, cells)?;
        }
        self.manifest.runs.push(out.finish()?);
        for (partition, next) in arena.next {
            let known = self.manifest.next.entry(partition).or_default();
            *known = next.max(*known);
        }
        self.record()?;
        while let Some(level) = self.full_level() {
            self.merge_level(level)?;
        }
        Ok(())
    }

    /// All of them as one.
    pub(super) fn merge(&self) -> io::Result<Merge> {
        Merge::of(self.manifest.runs.iter().map(|run| self.path(run.file)))
    }

    /// The level of each, and how many bytes it takes.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> impl Iterator<Item = (u32, u64)> {
        self.manifest.runs.iter().map(|run| (run.level, run.bytes))
    }

    fn path(&self, file: u64) -> PathBuf {
        self.directory.join(format!("{file}.run"))
    }

    fn full_level(&self) -> Option<u32> {
        let level = self.manifest.runs.last()?.level;
        let of_level = self.manifest.runs.iter().rev().take_while(|run| run.level == level).count();
        (of_level >= FAN_IN).then_some(level)
    }

    fn merge_level(&mut self, level: u32) -> io::Result<()> {
        let first = self.manifest.runs.partition_point(|run| run.level > level);
        let merged = self.manifest.runs.split_off(first);
        let paths: Vec<_> = merged.iter().map(|run| self.path(run.file)).collect();
        let mut merge = Merge::of(paths.iter())?;
        let mut out = self.writer(level + 1)?;
        while let Some(record) = merge.next()? {
            out.put(record.version, &record.cells)?;
        }
        self.manifest.runs.push(out.finish()?);
        self.record()?;
        paths.iter().try_for_each(fs::remove_file)
    }

    /// A new run.
    fn writer(&mut self, level: u32) -> io::Result<Writer> {
        self.manifest.files += 1;
        let file = self.manifest.files;
        let out = BufWriter::with_capacity(WRITE_BEHIND, File::create(self.path(file))?);
        Ok(Writer { out, run: Run { file, level, rows: 0, bytes: 0 } })
    }

    /// Replaces the manifest.
    fn record(&self) -> io::Result<()> {
        let new = self.directory.join("manifest.new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(&self.manifest)?)?;
        file.sync_all()?;
        fs::rename(&new, self.directory.join(MANIFEST))?;
        File::open(&self.directory)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{projection::Row, rebuild::arena::Placed};
    use proptest::{collection::vec, prelude::*};

    fn origin() -> Origin {
        Origin { table: 7, topic: "a".into() }
    }

    fn arena(messages: &[(u8, i64)], first: i64) -> Arena {
        let mut arena = Arena::default();
        for (offset, (id, version)) in (first..).zip(messages) {
            let row = Row::of_text(*version, &[&format!("id-{id}"), &format!("{offset}")]);
            arena.push(&Placed { row, partition: 0, offset });
        }
        arena
    }

    /// Ids with their versions, and where each comes from.
    fn held(runs: &Runs) -> Vec<(i64, Vec<u8>)> {
        let mut merge = runs.merge().unwrap();
        std::iter::from_fn(|| merge.next().unwrap()).map(|record| (record.version, record.cells)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        /// However the messages are cut into runs, and however often one was interrupted, the first message of the highest
        /// version of each id comes out.
        #[test]
        fn the_highest_versions_come_out_in_order(
            messages in vec((0..20_u8, 1..6_i64), 0..150), cut in 1..9_usize, reopened in any::<bool>(),
        ) {
            let directory = tempfile::tempdir().unwrap();
            let mut runs = Runs::begin(directory.path(), &origin()).unwrap();
            for (number, part) in messages.chunks(cut).enumerate() {
                runs.add(arena(part, i64::try_from(number * cut).unwrap())).unwrap();
                if reopened {
                    runs = Runs::found(directory.path(), &origin()).unwrap().unwrap();
                }
            }
            let whole = &mut arena(&messages, 0);
            let expected: Vec<_> = whole.sorted().map(|(version, cells)| (version, cells.to_vec())).collect();
            prop_assert_eq!(held(&runs), expected);
            let next = i64::try_from(messages.len()).unwrap();
            prop_assert_eq!(runs.next().get(&0).copied(), (next > 0).then_some(next));
            prop_assert!(runs.manifest.runs.len() < 2 * FAN_IN);
        }
    }

    #[test]
    fn runs_that_are_not_of_the_same_do_not_count() {
        let directory = tempfile::tempdir().unwrap();
        let found = |of: &Origin| Runs::found(directory.path(), of).unwrap().map(|runs| runs.rows());
        assert_eq!(found(&origin()), None, "there are none");
        let filled = || Runs::begin(directory.path(), &origin()).unwrap().add(arena(&[(1, 1)], 0)).unwrap();
        filled();
        assert_eq!(found(&origin()), Some(1));
        let others = [Origin { table: 8, ..origin() }, Origin { topic: "b".into(), ..origin() }];
        assert_eq!(others.each_ref().map(found), [None, None]);
        Runs::begin(directory.path(), &others[0]).unwrap();
        assert_eq!((found(&others[0]), found(&origin())), (Some(0), None));
        assert!(!directory.path().join("1.run").exists());
        filled();
        File::options().write(true).open(directory.path().join("1.run")).unwrap().set_len(3).unwrap();
        assert_eq!(found(&origin()), None, "a run that was cut off");
    }
}
