//! Putting in place, taking back and tidying up, where the target is not as the journal left it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use super::{Scratch, path};
use crate::restore::exchange::{finish, folders, set_new, switch, undo};
use crate::restore::journal::Record;
use crate::restore::metadata::{Attributes, Tally};
use crate::restore::place::{Place, Steps};

fn place(root: &Path) -> Place {
    Place::open(root, Arc::new(Steps::default())).unwrap()
}

fn inode(file: &Path) -> u64 {
    fs::symlink_metadata(file).unwrap().ino()
}

fn unit(at: &str, old: Option<u64>) -> Record {
    Record::Unit { path: path(at), temp: path(".temp"), aside: path(".aside"), old }
}

fn removal(at: &str, old: u64) -> Record {
    Record::Removal { path: path(at), aside: path(".aside"), old }
}

/// A target with three files, and their inode numbers.
fn target(scratch: &Scratch) -> (std::path::PathBuf, [u64; 3]) {
    let root = scratch.made("to");
    let inodes = ["file", ".temp", ".aside"].map(|name| {
        fs::write(root.join(name), name).unwrap();
        inode(&root.join(name))
    });
    (root, inodes)
}

fn names(root: &Path) -> Vec<(String, u64)> {
    let entry = |e: std::io::Result<fs::DirEntry>| {
        let e = e.unwrap();
        (e.file_name().into_string().unwrap(), inode(&e.path()))
    };
    let mut all: Vec<_> = fs::read_dir(root).unwrap().map(entry).collect();
    all.sort();
    all
}

#[test]
fn what_another_process_changed_is_not_replaced() {
    let scratch = Scratch::new();
    let (root, [file, temp, _]) = target(&scratch);
    fs::remove_file(root.join(".aside")).unwrap();
    let before = names(&root);
    let built = Record::Built { inodes: vec![Some(temp)] };
    for records in [
        vec![unit("file", Some(file + 1_000_000)), built.clone()],
        vec![unit("file", None), built.clone()],
        vec![unit("gone", Some(file)), built.clone()],
        vec![removal("file", file + 1_000_000), built],
    ] {
        let error = switch(&place(&root), &records).unwrap_err().to_string();
        assert!(error.contains("changed by another process"), "{error}");
        assert_eq!(names(&root), before);
    }
}

#[test]
fn what_was_left_out_is_not_put_in_place() {
    let scratch = Scratch::new();
    let (root, [file, ..]) = target(&scratch);
    let before = names(&root);
    switch(&place(&root), &[unit("file", Some(file)), Record::Built { inodes: vec![None] }]).unwrap();
    assert_eq!(names(&root), before);
}

#[test]
fn taking_back_moves_only_what_was_moved_aside() {
    let scratch = Scratch::new();
    let (root, [file, _, aside]) = target(&scratch);
    fs::remove_file(root.join("file")).unwrap();
    undo(&place(&root), &[removal("file", file)]).unwrap();
    assert!(!root.join("file").exists(), "what stands aside is something else");
    assert_eq!(inode(&root.join(".aside")), aside);
    undo(&place(&root), &[removal("file", aside)]).unwrap();
    assert_eq!(inode(&root.join("file")), aside);
    undo(&place(&root), &[removal("file", aside)]).unwrap();
    assert_eq!(inode(&root.join("file")), aside, "done already");
}

#[test]
fn below_a_file_there_is_nothing_and_other_errors_are_told() {
    let scratch = Scratch::new();
    let (root, [file, temp, _]) = target(&scratch);
    let before = names(&root);
    undo(&place(&root), &[removal("file/below", file + 1_000_000)]).unwrap();
    let below =
        Record::Removal { path: path("other"), aside: path("file/below/deep"), old: file + 1_000_000 };
    undo(&place(&root), &[below]).unwrap();
    assert_eq!(names(&root), before);
    let long = "n".repeat(300);
    let beyond = Record::Removal { path: path("other"), aside: path(&long), old: temp };
    undo(&place(&root), &[beyond]).unwrap_err();
}

#[test]
fn tidying_up_removes_only_what_was_there_before() {
    let scratch = Scratch::new();
    let (root, [file, temp, aside]) = target(&scratch);
    let before = names(&root);
    finish(&place(&root), &[unit("file", Some(file + 1_000_000)), removal("x", file + 1_000_000)]).unwrap();
    finish(&place(&root), &[unit("file", None)]).unwrap();
    assert_eq!(names(&root), before, "none of them is the old one");
    finish(&place(&root), &[unit("file", Some(temp))]).unwrap();
    assert_eq!(names(&root), [(".aside".to_owned(), aside), ("file".to_owned(), file)]);
    finish(&place(&root), &[removal("x", aside)]).unwrap();
    assert_eq!(names(&root), [("file".to_owned(), file)]);
}

#[test]
fn folders_in_which_names_change_are_named_once() {
    let records =
        [unit("b/x", None), unit("a/y", None), removal("b/z", 1), removal("c", 2), Record::Committed];
    assert_eq!(folders(&records), [path(""), path("a"), path("b")]);
}

#[test]
fn what_a_stranger_put_in_place_stays_and_so_does_the_old() {
    let scratch = Scratch::new();
    let (root, [file, temp, aside]) = target(&scratch);
    undo(&place(&root), &[unit("file", Some(temp))]).unwrap();
    assert_eq!(names(&root), [(".temp".to_owned(), temp), ("file".to_owned(), file)], "{aside} was built");
    fs::remove_file(root.join("file")).unwrap();
    undo(&place(&root), &[unit("file", Some(temp))]).unwrap();
    assert_eq!(names(&root), [("file".to_owned(), temp)]);
    undo(&place(&root), &[unit("never begun", None)]).unwrap();
    assert_eq!(names(&root), [("file".to_owned(), temp)]);
}

#[test]
fn attributes_are_set_of_what_the_journal_means_alone() {
    let scratch = Scratch::new();
    let (root, [file, ..]) = target(&scratch);
    let mode = || fs::metadata(root.join("file")).unwrap().mode() & 0o7777;
    let handle = fs::File::open(root.join("file")).unwrap();
    let old = Attributes { mode: 0o640, ..Attributes::read(&handle).unwrap() };
    let new = Attributes { mode: 0o600, ..old.clone() };
    let record =
        |inode| Record::Attributes { path: path("file"), inode, old: old.clone(), new: Some(new.clone()) };
    set_new(&place(&root), &[record(file)], &Tally::default()).unwrap();
    assert_eq!(mode(), 0o600);
    undo(&place(&root), &[record(file)]).unwrap();
    assert_eq!(mode(), 0o640);
    set_new(&place(&root), &[record(file + 1_000_000)], &Tally::default()).unwrap();
    assert_eq!(mode(), 0o640, "it is another file");
}
