//! Whatever is done to files, and whatever becomes of the backups in between: what is restored is what was there.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chronos_store::backend::{BackendExt, Fault, FaultBackend, FaultRule};
use chronos_store::{Change, PruneOptions, ReadData, SessionId, Silent, Verdict};

use super::{Stage, newest};
use crate::backup::{BackupOptions, ChangeTest, ParentChoice, backup};
use crate::record::Snapshot;
use crate::restore::{RestoreOptions, RestoreStatus, restore};
use crate::{Depth, verify};

/// Seeds that are run every time; a long run names others: `FIRST..END`.
const SEEDS: std::ops::Range<u64> = 0..2;
const SEEDS_VARIABLE: &str = "CHRONOS_EDIT_SEEDS";
/// Rounds of edits, each with a backup.
const ROUNDS: usize = 10;
/// Lengths around everything that has a limit.
const LENGTHS: [usize; 24] = [
    0, 1, 2, 31, 500, 3_000, 4_095, 4_096, 8_191, 8_192, 8_193, 16_383, 16_384, 16_385, 20_000, 32_767,
    32_768, 32_769, 65_536, 65_537, 131_071, 131_072, 131_073, 300_000,
];

/// Numbers from a seed: splitmix64.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn content(&mut self) -> Vec<u8> {
        let len = LENGTHS[self.below(LENGTHS.len())];
        let mut bytes = vec![0; len];
        match self.below(5) {
            0 => {}
            1 => {
                let line = format!("insert into t values ({}, 'some text');\n", self.next());
                bytes.iter_mut().zip(line.bytes().cycle()).for_each(|(to, from)| *to = from);
            }
            _ => {
                let mut hasher = blake3::Hasher::new();
                hasher.update(&self.next().to_le_bytes()).finalize_xof().fill(&mut bytes);
            }
        }
        bytes
    }
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

fn files_in(root: &Path) -> Files {
    let mut found = Files::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Changes something in the folder.
fn edit(root: &Path, draw: &mut Draw) {
    let names: Vec<PathBuf> = files_in(root).into_keys().collect();
    let any = |draw: &mut Draw| names.get(draw.below(names.len())).map(|name| root.join(name));
    let ending = [".bin", ".sql", ".json", ""][draw.below(4)];
    let fresh = root.join(format!("d{}/{:03}{ending}", draw.below(3), draw.below(400)));
    let Some(old) = any(draw) else { return fs::write(fresh, draw.content()).unwrap() };
    let mut bytes = fs::read(&old).unwrap();
    let at = draw.below(bytes.len() + 1);
    match draw.below(14) {
        0 | 1 => fs::write(fresh, draw.content()).unwrap(),
        // Bytes that come, go and change.
        2 => {
            bytes.splice(at..at, draw.content());
            fs::write(old, bytes).unwrap();
        }
        3 => {
            bytes.drain(at..(at + draw.below(3_000)).min(bytes.len()));
            fs::write(old, bytes).unwrap();
        }
        4 | 5 => {
            (0..=draw.below(20)).for_each(|_| {
                let at = draw.below(bytes.len());
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1;
                }
            });
            fs::write(old, bytes).unwrap();
        }
        6 => fs::write(old, &bytes[..at]).unwrap(),
        // Other names, the same content.
        7 => drop(fs::copy(old, fresh).unwrap()),
        8 => fs::rename(old, fresh).unwrap(),
        9 if !fresh.exists() => fs::hard_link(old, fresh).unwrap(),
        // Holes.
        10 => {
            let file = fs::File::options().write(true).open(old).unwrap();
            file.set_len((bytes.len() + draw.below(200_000)) as u64).unwrap();
            file.write_all_at(b"behind the hole", (bytes.len() + draw.below(200_000)) as u64).unwrap();
        }
        // Many small ones come, and most of them go.
        11 => {
            for number in 0..draw.below(200) {
                let mut bytes = number.to_string().into_bytes();
                bytes.extend(draw.next().to_le_bytes().repeat(draw.below(400)));
                fs::write(root.join(format!("d{}/s{number}", draw.below(3))), bytes).unwrap();
            }
        }
        12 => {
            let keep = 1 + draw.below(12);
            for name in names.iter().filter(|_| draw.below(keep) == 0) {
                fs::remove_file(root.join(name)).unwrap();
            }
        }
        _ => fs::remove_file(old).unwrap(),
    }
}

/// A repository whose snapshots are known.
struct World {
    stage: Stage,
    draw: Draw,
    known: Vec<(Snapshot, Files)>,
}

impl World {
    fn options(&mut self) -> BackupOptions {
        let given: Vec<SessionId> = self.known.iter().map(|(snapshot, _)| snapshot.session.clone()).collect();
        let parent = match self.draw.below(6) {
            0 => ParentChoice::None,
            1 if !given.is_empty() => ParentChoice::Given(given[self.draw.below(given.len())].clone()),
            _ => ParentChoice::Newest,
        };
        let changes = ChangeTest { read_all: self.draw.below(4) == 0, ..ChangeTest::default() };
        BackupOptions { parent, changes, threads: 1 + self.draw.below(4), ..BackupOptions::default() }
    }

    /// A backup that may fail at any call of the backend.
    fn fail(&mut self) {
        let options = self.options();
        let call = self.draw.below(40) as u64;
        let fault = [
            Fault::Error(io::ErrorKind::Other),
            Fault::LostAnswer(io::ErrorKind::TimedOut),
            Fault::StopBefore,
            Fault::StopAfter,
        ][self.draw.below(4)];
        let backend =
            FaultBackend::with_rule(Arc::new(self.stage.memory.clone()), FaultRule::at_call(call, fault));
        let Ok(repository) = self.stage.over(Arc::new(backend), Arc::new(Silent)) else { return };
        if backup(&repository, self.stage.files(), &options).is_ok() {
            drop(repository);
            self.remember();
        }
    }

    fn back_up(&mut self) {
        let options = self.options();
        let report = self.stage.run_with(&options);
        assert_eq!(report.error_count, 0, "{report:?}");
        self.remember();
    }

    fn remember(&mut self) {
        let last = newest(&self.stage.open());
        self.known.retain(|(snapshot, _)| snapshot.session != last.session);
        self.known.push((last, files_in(self.stage.dir.path())));
        self.compare(self.known.len() - 1);
    }

    /// Restores a snapshot and compares everything.
    fn compare(&self, number: usize) {
        let (snapshot, files) = &self.known[number];
        let repository = self.stage.open();
        let view = repository.view().unwrap();
        let report = verify(&repository, &view, snapshot, Depth::Everything).unwrap();
        assert_eq!(report.verdict, Verdict::Verified, "{report:?}");
        // Most of them in memory: on a disk each restore waits until everything is there.
        let target =
            if number.is_multiple_of(8) { tempfile::tempdir() } else { tempfile::tempdir_in("/dev/shm") };
        let target = target.unwrap();
        let to = Some(target.path().join("new"));
        let done =
            restore(&repository, snapshot, &RestoreOptions { to, ..RestoreOptions::default() }).unwrap();
        assert_eq!(done.status, RestoreStatus::Completed, "{done:?}");
        let below = self.stage.dir.path().strip_prefix("/").unwrap();
        let restored = files_in(&target.path().join("new").join(below));
        assert!(restored.keys().eq(files.keys()), "{:?}", snapshot.session);
        for (path, bytes) in files {
            assert!(restored[path] == *bytes, "{} in {:?}", path.display(), snapshot.session);
        }
    }

    /// Forgets some snapshots and gives back what they held.
    fn prune(&mut self) {
        let gone = (self.draw.next(), self.known.len());
        let (keep, forget): (Vec<_>, Vec<_>) = self
            .known
            .drain(..)
            .enumerate()
            .partition(|(number, _)| number + 1 == gone.1 || gone.0 >> (number % 64) & 1 == 0);
        self.known = keep.into_iter().map(|(_, known)| known).collect();
        let snapshots: Vec<SessionId> = forget.into_iter().map(|(_, (known, _))| known.session).collect();
        let repository = self.stage.open();
        if !snapshots.is_empty() {
            repository.change(&|_| Ok(Some(Change::Forget { snapshots: snapshots.clone() }))).unwrap();
        }
        let options = PruneOptions { dead_share_max: 0.0, keep_deleted: 0, ..PruneOptions::default() };
        repository.prune(&options).unwrap();
        let report = self.stage.open().check(ReadData::All).unwrap();
        assert!(report.errors.is_empty(), "{report:?}");
        (0..self.known.len()).for_each(|number| self.compare(number));
    }

    /// A pack is gone; what later backups find at its source is whole again.
    fn lose(&mut self) {
        let packs = self.stage.memory.list_all("packs/").unwrap();
        if packs.is_empty() {
            return;
        }
        let lost = &packs[self.draw.below(packs.len())].name;
        self.stage.memory.damage(lost, None);
        self.known.clear();
        self.back_up();
        // What nothing at the source brings back.
        let repository = self.stage.open();
        let last = newest(&repository).session;
        let old: Vec<SessionId> =
            repository.view().unwrap().snapshots().map(|row| row.session.clone()).collect();
        let snapshots: Vec<SessionId> = old.into_iter().filter(|session| *session != last).collect();
        if !snapshots.is_empty() {
            repository.change(&|_| Ok(Some(Change::Forget { snapshots: snapshots.clone() }))).unwrap();
        }
    }
}

fn run(seed: u64) {
    let mut world = World { stage: Stage::new(), draw: Draw(seed), known: Vec::new() };
    for folder in ["d0", "d1", "d2"] {
        fs::create_dir(world.stage.path(folder)).unwrap();
    }
    for round in 0..ROUNDS {
        for _ in 0..=world.draw.below(12) {
            edit(world.stage.dir.path(), &mut world.draw);
        }
        if world.draw.below(3) == 0 {
            world.fail();
        }
        world.back_up();
        match world.draw.below(8) {
            0 | 1 => world.prune(),
            2 if round > 3 => world.lose(),
            _ => {}
        }
    }
    world.prune();
}

#[test]
fn what_is_restored_is_what_was_there() {
    let given = std::env::var(SEEDS_VARIABLE).ok();
    let seeds = given.as_deref().and_then(|range| range.split_once(".."));
    let seeds = seeds.map_or(SEEDS, |(first, end)| first.parse().unwrap()..end.parse().unwrap());
    for seed in seeds {
        // Seen only if it fails.
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}
