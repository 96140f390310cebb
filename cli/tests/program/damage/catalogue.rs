//! The catalogue in the cache folder is never believed: whatever lies in its place, every answer is as without it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::fixture::{Copy, Fixture, replace};
use crate::support::{finish, noise};

/// Somebody without rights.
const NOBODY: u32 = 65534;

/// Everything can be listed, restored and backed up, and what is made is whole.
#[track_caller]
fn answers(fixture: &Fixture, copy: &Copy, what: &str) {
    let listed = copy.run(&["snapshots", "--json"]);
    let rows = listed.json();
    assert_eq!((listed.code, rows.as_array().unwrap().len()), (0, fixture.taken.len()), "{what}: {listed:?}");
    for taken in fixture.taken.values() {
        assert_eq!(copy.restore(taken).0.equal.len(), taken.tree.len(), "{what}");
    }
    let backup = copy.run(&["backup", fixture.data().to_str().unwrap()]);
    assert!(backup.code == 0 && backup.stdout.contains("4 unmodified"), "{what}: {backup:?}");
    let delete = copy.run(&["delete", &fixture.taken["touched"].id]);
    assert_eq!(delete.code, 0, "{what}: {delete:?}");
    for command in [&["prune"][..], &["check", "--read-data"]] {
        let ran = copy.run(command);
        assert_eq!(ran.code, 0, "{what}: {ran:?}");
    }
}

/// Damages the catalogue of a copy and looks whether all is well.
fn with(fixture: &Fixture, what: &str, damage: &dyn Fn(&mut Vec<u8>)) {
    let copy = fixture.copy_with_cache(false);
    let file = copy.catalogue();
    let mut bytes = fs::read(&file).unwrap();
    damage(&mut bytes);
    replace(&file, Some(&bytes));
    answers(fixture, &copy, what);
    if what != "whole" {
        let now = fs::read(copy.catalogue()).unwrap();
        assert_ne!(now, bytes, "{what}: it is not made anew");
    }
}

#[test]
fn a_damaged_catalogue_is_made_anew() {
    let fixture = Fixture::new();
    with(&fixture, "whole", &|_| {});
    with(&fixture, "empty", &Vec::clear);
    with(&fixture, "cut", &|bytes| bytes.truncate(bytes.len() / 2));
    with(&fixture, "cut in its head", &|bytes| bytes.truncate(20));
    with(&fixture, "zeros", &|bytes| bytes.fill(0));
    with(&fixture, "zeros behind its head", &|bytes| bytes[40..].fill(0));
    with(&fixture, "text", &|bytes| *bytes = b"this is no catalogue\n".repeat(1000));
    with(&fixture, "longer", &|bytes| bytes.extend([7; 10_000]));
    for round in 0..8 {
        with(&fixture, &format!("flipped in round {round}"), &|bytes| {
            let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
            for byte in noise(round, 64).chunks(4) {
                let at = u32::from_le_bytes(byte.try_into().unwrap()) as usize % places.len();
                bytes[places[at]] ^= 1 << (round % 8);
            }
        });
    }
}

#[test]
fn an_old_or_foreign_catalogue_is_not_believed() {
    let fixture = Fixture::new();
    answers(&fixture, &fixture.copy(), "none");
    answers(&fixture, &fixture.copy_with_cache(true), "old");
    let (ours, other) = (fixture.copy_with_cache(false), Fixture::new());
    let theirs = fs::read(other.copy_with_cache(false).catalogue()).unwrap();
    replace(&ours.catalogue(), Some(&theirs));
    answers(&fixture, &ours, "of another repository");
}

#[test]
fn what_is_no_file_in_the_place_of_the_catalogue_is_worked_without() {
    let fixture = Fixture::new();
    let with = |what: &str, put: &dyn Fn(&std::path::Path)| {
        let copy = fixture.copy_with_cache(false);
        let file = copy.catalogue();
        replace(&file, None);
        put(&file);
        answers(&fixture, &copy, what);
    };
    with("a folder", &|file| fs::create_dir(file).unwrap());
    with("a full folder", &|file| fs::create_dir_all(file.join("more")).unwrap());
    with("a link to nothing", &|file| symlink("nowhere/else", file).unwrap());
    with("a link to a device", &|file| symlink("/dev/full", file).unwrap());
    with("a pipe", &|file| assert!(Command::new("mkfifo").arg(file).status().unwrap().success()));
    with("no cache folder, but a file", &|file| {
        let folder = file.parent().unwrap();
        fs::remove_dir_all(folder).unwrap();
        fs::write(folder, "in the way").unwrap();
    });
}

#[test]
fn a_catalogue_without_rights_is_worked_without() {
    let fixture = Fixture::new();
    let copy = fixture.copy_with_cache(false);
    let file = copy.catalogue();
    let own = Command::new("chown").args(["-R", "65534:65534"]).arg(copy.home.path("")).status();
    assert!(own.unwrap().success());
    for (what, path) in [("file", file.as_path()), ("folder", file.parent().unwrap())] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
        for words in [&["snapshots"][..], &["ls", &fixture.taken["old"].id], &["check", "--read-data"]] {
            let ran = finish(copy.home.command(words).uid(NOBODY).gid(NOBODY).spawn().unwrap());
            assert_eq!(ran.code, 0, "{what}: {ran:?}");
        }
    }
}
