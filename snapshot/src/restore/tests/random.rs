//! Random trees: over an empty place, over each other, and back again.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::compare::{between, capture};
use super::content::differs;
use super::{Memory, Scratch, options};
use crate::restore::options::{Overwrite, RestoreOptions, Strategy};
use crate::restore::report::RestoreStatus;

/// Numbers that look random and are the same in every run (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Few names and shallow folders, so that two trees meet in every way.
fn grow(root: &Path, dice: &mut Dice) {
    for _ in 0..25 {
        let mut at = root.to_owned();
        for _ in 0..dice.roll(3) {
            at.push(["a", "a-b", "c.d"][dice.roll(3) as usize]);
        }
        if fs::create_dir_all(&at).is_err() {
            continue;
        }
        let name = at.join(["a", "b", "c.d", "e f", "\u{fc}"][dice.roll(5) as usize]);
        if name.symlink_metadata().is_ok() {
            continue;
        }
        match dice.roll(6) {
            0 => fs::create_dir(&name).unwrap(),
            1 => symlink(["a", "../b", "/nowhere"][dice.roll(3) as usize], &name).unwrap(),
            2 => {
                let other = root.join("linked");
                if !other.exists() {
                    fs::write(&other, "linked").unwrap();
                }
                fs::hard_link(&other, &name).unwrap();
            }
            _ => fs::write(&name, vec![dice.roll(256) as u8; dice.roll(15_000) as usize]).unwrap(),
        }
        if name.symlink_metadata().unwrap().is_file() {
            let mode = [0o644, 0o600, 0o4755, 0o000][dice.roll(4) as usize];
            fs::set_permissions(&name, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

#[test]
fn a_random_tree_replaces_another() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for round in 0..40 {
        let scratch = Scratch::new();
        let (from, to) = (scratch.made("from"), scratch.made("to"));
        grow(&from, &mut dice);
        grow(&to, &mut dice);
        let (memory, before) = (Memory::of_folder(&from), Memory::of_folder(&to));
        let copy = scratch.at("copy");
        scratch.restore(&before, &options(Strategy::NewLocation, &copy)).unwrap();
        assert_eq!(differs(&to, &copy), [""; 0], "round {round}");
        for overwrite in [Overwrite::IfChanged, Overwrite::Always] {
            let replace = RestoreOptions { overwrite: Some(overwrite), ..options(Strategy::Replace, &to) };
            let report = scratch.restore(&memory, &replace).unwrap();
            assert_eq!(report.status, RestoreStatus::Completed, "{:?}", report.errors);
            assert_eq!(differs(&from, &to), [""; 0], "round {round} {overwrite:?}");
        }
        let again = RestoreOptions {
            overwrite: Some(Overwrite::IfChanged),
            dry_run: true,
            ..options(Strategy::Replace, &to)
        };
        let plan = scratch.restore(&memory, &again).unwrap().plan;
        assert_eq!(plan.overwrites.len() + plan.creates.len() + plan.removes.len(), 0, "round {round}");
        let merged = capture(&to);
        scratch.restore(&before, &RestoreOptions { dry_run: true, ..options(Strategy::Merge, &to) }).unwrap();
        assert_eq!(between(&merged, &capture(&to)), [""; 0]);
    }
}
