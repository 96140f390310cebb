//! Loss of power at every moment of first backup, second backup, forgetting, prune and third backup.
//!
//! The system calls of the real program are recorded; from the recording come images of the disk as a loss of power may
//! have left it: before each call, with everything that was not synced kept, lost, or kept in part and out of order. On
//! each image: what was reported restores, a check of every byte finds nothing wrong, and the next backup and prune work.
//!
//! A few images of each kind are tried; with `CHRONOS_LONG=1` all of them, with more seeds, with
//! `CHRONOS_LONG=3/5` the third fifth of these.

mod calls;
mod disk;
mod examine;
mod keys;
mod recording;

use std::collections::BTreeSet;

use disk::{Disk, Fate, Image};
use examine::{Stage, Story};
use recording::Recording;

use crate::support::{Home, is_long, long_share, tell};

/// How many images are tried when time is short.
const SHORT: usize = 90;
/// Seeds of the long form.
const SEEDS_LONG: u64 = 6;

/// What becomes of things that were not synced.
#[derive(Clone, Copy, Debug)]
enum Luck {
    /// Everything is there: the process was killed, the system was not.
    Kept,
    /// Nothing is.
    Lost,
    /// Names are, bytes are not: what file systems do that write names earlier.
    NamesOnly,
    /// Lengths are, bytes are zero.
    Zeroed,
    /// Any part is, in any order.
    Random(u64),
}

impl Luck {
    fn all(is_long: bool) -> Vec<Self> {
        let seeds = (0..if is_long { SEEDS_LONG } else { 2 }).map(Self::Random);
        [Self::Kept, Self::Lost, Self::NamesOnly, Self::Zeroed].into_iter().chain(seeds).collect()
    }

    fn restarts(self) -> bool {
        !matches!(self, Self::Kept)
    }

    fn image(self, disk: &Disk, now: usize) -> Image {
        let mut n = 0_u64;
        disk.image(now, || match self {
            Self::Kept => Fate::Kept,
            Self::Lost => Fate::Lost,
            Self::NamesOnly => Fate::Torn(0),
            Self::Zeroed => Fate::Zeroed,
            Self::Random(seed) => {
                n += 1;
                let hash =
                    blake3::hash(&[seed.to_le_bytes(), (now as u64).to_le_bytes(), n.to_le_bytes()].concat());
                let [kind, part] = [hash.as_bytes()[0], hash.as_bytes()[1]];
                [Fate::Kept, Fate::Lost, Fate::Zeroed, Fate::Torn(part)][usize::from(kind % 4)]
            }
        })
    }
}

/// Records backups, a forgetting and a prune in an empty home.
fn recorded(home: &Home) -> (Disk, Story) {
    let mut recording = Recording::new(home);
    let mut story = Story::default();
    for version in 0..2 {
        story.backup(home, &mut recording, version);
    }
    let (ran, told) = recording.run(&["forget", "--keep-last", "1"]);
    ran.code(0);
    story.forgotten(0, told);
    recording.run(&["prune"]).0.code(0);
    story.backup(home, &mut recording, 2);
    (recording.disk, story)
}

/// Moments and kinds of luck that give different images, or of which more was `told` before: about `short` of them, or all.
fn images(disk: &Disk, told: &[usize], short: usize) -> Vec<(usize, Luck)> {
    let mut seen = BTreeSet::new();
    let mut images = Vec::new();
    for now in disk.moments().into_iter().chain(told.iter().copied()) {
        for luck in Luck::all(is_long()) {
            // The caches of redb change often: moments that differ in nothing else are one.
            let told = told.iter().filter(|told| **told <= now).count();
            if seen.insert((examine::digest(&luck.image(disk, now)), told)) {
                images.push((now, luck));
            }
        }
    }
    assert!(images.len() > short, "{} images", images.len());
    let (first, step) = if is_long() {
        (long_share().nth, long_share().of)
    } else {
        let step = images.len().div_ceil(short);
        (step / 2, step)
    };
    let last_told = images.iter().filter(|(now, _)| told.contains(now)).copied();
    let chosen = images.iter().skip(first).step_by(step).copied();
    let chosen: Vec<_> = chosen.chain(last_told.filter(|_| step > 1)).collect();
    tell(format_args!("{} of {} images", chosen.len(), images.len()));
    chosen
}

#[test]
fn after_a_loss_of_power_at_any_moment_what_was_reported_restores_and_the_next_run_needs_no_repair() {
    let home = Home::new();
    let (disk, story) = recorded(&home);
    let stage = Stage::new(&home);
    let told: Vec<_> = story.moments().collect();
    let mut failures = Vec::new();
    for (now, luck) in images(&disk, &told, SHORT) {
        if let Err(what) = stage.examine(&luck.image(&disk, now), &story, now, luck.restarts()) {
            failures.push(format!("{luck:?} at {now}: {what}"));
        }
    }
    assert!(failures.is_empty(), "{} images:\n{}", failures.len(), failures.join("\n"));
}

/// The last moment, with everything lost that was not synced, if what `chosen` names never was.
fn fails_without_syncs(chosen: fn(&std::path::Path, bool) -> bool) {
    let home = Home::new();
    let (disk, story) = recorded(&home);
    let stage = Stage::new(&home);
    let now = story.moments().max().unwrap();
    stage.examine(&Luck::Lost.image(&disk, now), &story, now, true).unwrap();
    let image = Luck::Lost.image(&disk.without_syncs(chosen), now);
    let found = stage.examine(&image, &story, now, true);
    assert!(found.is_err(), "nothing is missed");
}

#[test]
fn a_pack_that_is_not_synced_would_be_missed() {
    fails_without_syncs(|path, is_folder| !is_folder && path.components().any(|c| c.as_os_str() == "packs"));
}

#[test]
fn a_folder_of_packs_that_is_not_synced_would_be_missed() {
    fails_without_syncs(|path, is_folder| is_folder && path.ends_with("packs"));
}

#[test]
fn decisions_whose_names_are_not_synced_would_be_missed() {
    fails_without_syncs(|path, is_folder| is_folder && path.ends_with("snap"));
}

#[test]
fn a_key_file_that_is_not_synced_would_be_missed() {
    fails_without_syncs(|path, is_folder| !is_folder && path.extension().is_some_and(|e| e == "key"));
}
