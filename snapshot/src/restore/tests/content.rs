//! What comes back of every kind of entry: content, holes, links, attributes; and what is done about damage.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, SeekFrom, Timespec, Timestamps, makedev, mknodat, seek, utimensat,
};

use super::compare::differences;
use super::{Memory, Scratch, options, path};
use crate::node::{Extent, NodeKind};
use crate::restore::options::{RestoreOptions, Strategy};
use crate::restore::report::RestoreStatus;

/// One of everything.
fn special(root: &Path) {
    fs::create_dir_all(root.join("a/b/c")).unwrap();
    fs::create_dir(root.join("a-b")).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    fs::write(root.join("a/b/c/file"), vec![7; 23_456]).unwrap();
    fs::write(root.join("a.b"), "text").unwrap();
    fs::write(root.join("nothing"), "").unwrap();
    fs::hard_link(root.join("a.b"), root.join("a/second name")).unwrap();
    fs::hard_link(root.join("a.b"), root.join("z third name")).unwrap();
    symlink("../a.b", root.join("a/link")).unwrap();
    symlink("/nowhere", root.join("dangling")).unwrap();
    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.write_all_at(b"middle", 5 << 20).unwrap();
    sparse.set_len(9 << 20).unwrap();
    mknodat(CWD, root.join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    mknodat(CWD, root.join("null"), FileType::CharacterDevice, Mode::RUSR, makedev(1, 3)).unwrap();
    mknodat(CWD, root.join("loop"), FileType::BlockDevice, Mode::RUSR, makedev(7, 9)).unwrap();
    std::os::unix::fs::chown(root.join("a.b"), Some(1000), Some(1001)).unwrap();
    std::os::unix::fs::lchown(root.join("dangling"), Some(1002), Some(1003)).unwrap();
    fs::set_permissions(root.join("a.b"), fs::Permissions::from_mode(0o6751)).unwrap();
    fs::set_permissions(root.join("a/b"), fs::Permissions::from_mode(0o500)).unwrap();
    fs::set_permissions(root.join("nothing"), fs::Permissions::from_mode(0o0)).unwrap();
    xattr::set(root.join("a"), "user.folder", b"\0\xff").unwrap();
    xattr::set(root.join("nothing"), "user.empty", b"").unwrap();
    xattr::set(root.join("nothing"), "trusted.mine", b"x").unwrap();
    for (name, seconds, nanos) in
        [("nothing", -1_000_000_000, 123_456_789), ("a/b/c", 4_200_000_000, 1), ("dangling", -1, 999_999_999)]
    {
        let time = Timespec { tv_sec: seconds, tv_nsec: nanos };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, root.join(name), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

/// What differs below two roots; the folders themselves are the tests' own.
pub(super) fn differs(one: &Path, other: &Path) -> Vec<String> {
    differences(one, other).into_iter().filter(|line| !line.starts_with(": ")).collect()
}

#[test]
fn one_of_everything_comes_back() {
    let scratch = Scratch::new();
    let from = scratch.made("from");
    special(&from);
    let memory = Memory::of_folder(&from);
    for to in ["new/deep/place", "empty place"] {
        let to = scratch.at(to);
        if to.ends_with("empty place") {
            fs::create_dir(&to).unwrap();
        }
        let report = scratch.restore(&memory, &options(Strategy::NewLocation, &to)).unwrap();
        assert_eq!(report.status, RestoreStatus::Completed, "{:?}", report.errors);
        assert_eq!(report.files_restored, 6, "regular files, one of them under three names");
        assert_eq!(differs(&from, &to), [""; 0]);
        assert!(report.notes.is_empty(), "{:?}", report.notes);
    }
    assert_eq!(fs::read_dir(scratch.at("state/restores")).unwrap().count(), 0);
}

#[test]
fn in_memory_everything_comes_back_too() {
    let scratch = Scratch::new();
    let from = scratch.made("from");
    special(&from);
    let mut memory = Memory::of_folder(&from);
    memory.add_file("zz", b"of its own").mode = 0o444;
    fs::write(from.join("zz"), "of its own").unwrap();
    let in_memory = tempfile::tempdir_in("/dev/shm").unwrap();
    for (name, sparse) in [("dense", false), ("sparse", true)] {
        let to = in_memory.path().join(name);
        let wanted = RestoreOptions { sparse, ..options(Strategy::NewLocation, &to) };
        let report = scratch.restore(&memory, &wanted).unwrap();
        assert_eq!(report.status, RestoreStatus::Completed, "{:?}", report.errors);
        // Some systems keep no extended attributes in memory, and say so.
        let differs: Vec<_> =
            differs(&from, &to).into_iter().filter(|line| !line.starts_with("zz: ")).collect();
        assert!(differs.is_empty() || !report.notes.is_empty(), "{differs:?} {:?}", report.notes);
        let made = fs::metadata(to.join("zz")).unwrap();
        assert_eq!((made.mode() & 0o7777, made.mtime(), made.len()), (0o444, 1_600_000_000, 10));
    }
}

#[test]
fn a_part_goes_directly_into_the_target() {
    let scratch = Scratch::new();
    let from = scratch.made("from");
    special(&from);
    let memory = Memory::of_folder(&from);
    let to = scratch.at("folder");
    let part = RestoreOptions { path: path("a/b"), ..options(Strategy::NewLocation, &to) };
    scratch.restore(&memory, &part).unwrap();
    assert_eq!(differences(&from.join("a/b"), &to), [""; 0]);
    let to = scratch.at("file");
    let part = RestoreOptions { path: path("a/b/c/file"), ..options(Strategy::NewLocation, &to) };
    let report = scratch.restore(&memory, &part).unwrap();
    assert_eq!((report.files_restored, report.bytes_written), (1, 23_456));
    assert_eq!(fs::read(to.join("file")).unwrap(), vec![7; 23_456]);
    let part = RestoreOptions { path: path("a/none"), ..options(Strategy::NewLocation, &scratch.at("none")) };
    assert!(scratch.restore(&memory, &part).unwrap_err().to_string().contains("not found"));
    assert!(!scratch.at("none").exists());
}

#[test]
fn filters_choose_and_folders_on_the_way_come_along() {
    let scratch = Scratch::new();
    let from = scratch.made("from");
    special(&from);
    let memory = Memory::of_folder(&from);
    let to = scratch.at("to");
    let chosen = RestoreOptions {
        include: vec!["file".to_owned(), "*.b".to_owned()],
        exclude: vec!["/a-b".to_owned()],
        ..options(Strategy::NewLocation, &to)
    };
    scratch.restore(&memory, &chosen).unwrap();
    let names: Vec<_> = super::compare::capture(&to).into_keys().map(|p| p.display().to_string()).collect();
    assert_eq!(names, ["", "a", "a/b", "a/b/c", "a/b/c/file", "a.b"]);
    assert_eq!(fs::metadata(to.join("a/b")).unwrap().mode() & 0o7777, 0o500);
}

#[test]
fn zeros_are_written_and_holes_left() {
    let scratch = Scratch::new();
    let mut memory = Memory::default();
    let node = memory.add_file("f", &[0; 8192]);
    let NodeKind::File(content) = &mut node.kind else { unreachable!() };
    content.extents.insert(0, Extent::Zero { len: 1 << 20 });
    content.extents.push(Extent::Hole { len: 1 << 20 });
    content.size = (2 << 20) + 8192;
    for (name, sparse, data) in [("dense", false, (1 << 20) + 8192), ("sparse", true, 0)] {
        let to = scratch.at(name);
        let report = scratch
            .restore(&memory, &RestoreOptions { sparse, ..options(Strategy::NewLocation, &to) })
            .unwrap();
        assert_eq!(report.status, RestoreStatus::Completed);
        let file = File::open(to.join("f")).unwrap();
        assert_eq!(file.metadata().unwrap().len(), (2 << 20) + 8192);
        let hole = seek(&file, SeekFrom::Hole(0)).unwrap();
        assert_eq!(hole, data, "{name}");
    }
}

#[test]
fn a_damaged_chunk_costs_its_file_in_a_new_place_and_nothing_elsewhere() {
    let scratch = Scratch::new();
    let from = scratch.made("from");
    fs::create_dir(from.join("d")).unwrap();
    fs::write(from.join("d/bad"), vec![1; 12_000]).unwrap();
    fs::write(from.join("good"), vec![2; 12_000]).unwrap();
    fs::hard_link(from.join("d/bad"), from.join("other name of bad")).unwrap();
    let mut memory = Memory::of_folder(&from);
    let bad = memory.chunks.iter().find(|(_, bytes)| bytes[0] == 1 && bytes.len() == 2000).unwrap();
    memory.lost.insert(*bad.0);
    let to = scratch.at("to");
    let report = scratch.restore(&memory, &options(Strategy::NewLocation, &to)).unwrap();
    assert_eq!(report.status, RestoreStatus::Damaged);
    assert_eq!(report.errors.len(), 2, "{:?}", report.errors);
    assert_eq!(report.files_restored, 1);
    assert!(to.join("d").is_dir() && !to.join("d/bad").exists() && !to.join("other name of bad").exists());
    assert_eq!(fs::read(to.join("good")).unwrap(), vec![2; 12_000]);

    let over = scratch.made("over");
    fs::write(over.join("good"), "old").unwrap();
    let before = super::compare::capture(&over);
    let error = scratch.restore(&memory, &options(Strategy::Overwrite, &over)).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Damaged, "{error}");
    assert_eq!(super::compare::between(&before, &super::compare::capture(&over)), [""; 0]);
}

#[test]
fn a_new_place_must_be_empty() {
    let scratch = Scratch::new();
    let mut memory = Memory::default();
    memory.add_file("f", b"x");
    let to = scratch.made("to");
    fs::write(to.join("mine"), "").unwrap();
    let error = scratch.restore(&memory, &options(Strategy::NewLocation, &to)).unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
    assert_eq!(fs::read_dir(&to).unwrap().count(), 1);
}
