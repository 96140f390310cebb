//! Trees that no honest program wrote, and targets that somebody prepared: nothing outside the target is touched.

use std::fs;
use std::os::unix::fs::symlink;

use super::{Memory, Scratch, options};
use crate::node::{Content, Extent, NodeKind};
use crate::restore::options::{Overwrite, RestoreOptions, Strategy};
use crate::restore::place::Steps;
use crate::restore::report::RestoreStatus;

/// A scratch folder with `outside/secret` in it, which must stay as it is.
fn guarded() -> Scratch {
    let scratch = Scratch::new();
    fs::write(scratch.made("outside").join("secret"), "untouched").unwrap();
    scratch
}

fn assert_untouched(scratch: &Scratch) {
    let outside = scratch.at("outside");
    let names: Vec<_> = fs::read_dir(&outside).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["secret"]);
    assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "untouched");
}

fn each_strategy() -> [Strategy; 4] {
    [Strategy::NewLocation, Strategy::Overwrite, Strategy::Replace, Strategy::Merge]
}

#[test]
fn a_file_below_a_symbolic_link_of_the_tree_is_refused() {
    for strategy in each_strategy() {
        let scratch = guarded();
        let mut memory = Memory::default();
        let outside = scratch.at("outside").into_os_string().into_encoded_bytes();
        memory.add("link", NodeKind::Symlink(outside));
        memory.add_file("link/secret", b"stolen");
        memory.add_file("link/deeper/new", b"stolen");
        memory.add_file("other", b"fine");
        let to = scratch.made("to");
        match scratch.restore(&memory, &options(strategy, &to)) {
            Ok(report) => {
                assert_eq!((report.status, strategy), (RestoreStatus::Damaged, Strategy::NewLocation));
                assert_eq!(report.errors.len(), 2, "{:?}", report.errors);
                assert_eq!(fs::read(to.join("other")).unwrap(), b"fine");
            }
            Err(e) => {
                assert!(e.to_string().contains("no folder"), "{e}");
                assert_eq!(fs::read_dir(&to).unwrap().count(), 0);
            }
        }
        assert_untouched(&scratch);
    }
}

#[test]
fn a_link_planted_in_the_target_is_not_followed() {
    for (strategy, mode) in [
        (Strategy::Overwrite, None),
        (Strategy::Overwrite, Some(Overwrite::IfChanged)),
        (Strategy::Overwrite, Some(Overwrite::Never)),
        (Strategy::Replace, None),
        (Strategy::Merge, None),
        (Strategy::Merge, Some(Overwrite::IfNewer)),
    ] {
        let scratch = guarded();
        let to = scratch.made("to");
        symlink(scratch.at("outside"), to.join("folder")).unwrap();
        symlink(scratch.at("outside/secret"), to.join("file")).unwrap();
        let mut memory = Memory::default();
        memory.add_file("file", b"new");
        memory.add("folder", NodeKind::Dir);
        memory.add_file("folder/secret", b"new");
        memory.add_file("folder/sub/new", b"new");
        let report =
            scratch.restore(&memory, &RestoreOptions { overwrite: mode, ..options(strategy, &to) }).unwrap();
        let replaces = strategy != Strategy::Merge && mode != Some(Overwrite::Never);
        assert_eq!(report.errors.is_empty(), replaces, "{strategy:?} {mode:?} {:?}", report.errors);
        assert_eq!(to.join("folder").symlink_metadata().unwrap().is_dir(), replaces);
        assert_untouched(&scratch);
    }
}

#[test]
fn a_hard_link_planted_in_the_target_is_cut_off() {
    for mode in [Overwrite::Always, Overwrite::IfChanged] {
        let scratch = guarded();
        let to = scratch.made("to");
        fs::hard_link(scratch.at("outside/secret"), to.join("file")).unwrap();
        let before = fs::metadata(scratch.at("outside/secret")).unwrap();
        let mut memory = Memory::of_folder(&to);
        // The same content and time, so that only attributes would have to change.
        memory.entries[0].1.mode = 0o4777;
        let over = RestoreOptions { overwrite: Some(mode), ..options(Strategy::Overwrite, &to) };
        scratch.restore(&memory, &over).unwrap();
        let after = fs::metadata(scratch.at("outside/secret")).unwrap();
        assert_eq!(before.permissions(), after.permissions());
        assert_untouched(&scratch);
    }
}

#[test]
fn entries_that_say_they_are_one_file_and_differ_are_not_linked() {
    let scratch = guarded();
    let mut memory = Memory::default();
    for (name, bytes) in [("a", "one"), ("b", "two")] {
        let node = memory.add_file(name, bytes.as_bytes());
        (node.dev, node.inode, node.links) = (1, 5, 2);
    }
    let to = scratch.at("to");
    scratch.restore(&memory, &options(Strategy::NewLocation, &to)).unwrap();
    assert_eq!(fs::read(to.join("a")).unwrap(), b"one");
    assert_eq!(fs::read(to.join("b")).unwrap(), b"two");
}

#[test]
fn entries_twice_or_out_of_order_are_refused() {
    let scratch = guarded();
    let mut memory = Memory::default();
    memory.add_file("b", b"1");
    memory.add_file("b", b"2");
    memory.add_file("a", b"3");
    let to = scratch.at("to");
    let error = scratch.restore(&memory, &options(Strategy::Overwrite, &to)).unwrap_err();
    assert!(error.to_string().contains("out of order"), "{error}");
    assert!(!to.exists());
    let report = scratch.restore(&memory, &options(Strategy::NewLocation, &to)).unwrap();
    assert_eq!((report.status, report.errors.len()), (RestoreStatus::Damaged, 2));
    assert_eq!(fs::read(to.join("b")).unwrap(), b"1");
}

#[test]
fn a_size_that_is_a_lie_is_damage() {
    let scratch = guarded();
    let mut memory = Memory::default();
    let content = Content {
        class: chronos_store::ChunkClass::Std,
        size: 10,
        extents: vec![Extent::Hole { len: u64::MAX }, Extent::Hole { len: u64::MAX }],
    };
    memory.add("f", NodeKind::File(content));
    let to = scratch.at("to");
    let report = scratch.restore(&memory, &options(Strategy::NewLocation, &to)).unwrap();
    assert_eq!(report.status, RestoreStatus::Damaged);
    assert!(!to.join("f").exists());
}

#[test]
fn a_chunk_of_another_length_than_the_tree_says_is_damage() {
    let scratch = guarded();
    let mut memory = Memory::default();
    let mut extents = vec![memory.chunk(b"0123456789"), memory.chunk(b"abcdefghij")];
    for (extent, lie) in extents.iter_mut().zip([15, 5]) {
        let Extent::Data { len, .. } = extent else { unreachable!() };
        *len = lie;
    }
    let content = Content { class: chronos_store::ChunkClass::Std, size: 20, extents };
    memory.add("f", NodeKind::File(content));
    memory.add_file("g", b"good");
    let in_memory = tempfile::tempdir_in("/dev/shm").unwrap();
    for to in [scratch.at("to"), in_memory.path().join("to")] {
        let report = scratch.restore(&memory, &options(Strategy::NewLocation, &to)).unwrap();
        assert_eq!((report.status, report.files_restored), (RestoreStatus::Damaged, 1), "{report:?}");
        assert!(!to.join("f").exists() && to.join("g").exists());
    }
}

#[test]
fn a_very_deep_tree_without_its_folders_comes_back() {
    let scratch = guarded();
    let mut memory = Memory::default();
    let deep = ["d"; 700].join("/");
    memory.add_file(&format!("{deep}/f"), b"deep");
    let to = scratch.at("to");
    let report = scratch.restore(&memory, &options(Strategy::NewLocation, &to)).unwrap();
    assert_eq!((report.status, report.files_restored), (RestoreStatus::Completed, 1));
    let place = super::super::place::Place::open(&to, std::sync::Arc::default()).unwrap();
    place.remove_all(&super::path("d")).unwrap();
}

#[test]
fn below_a_folder_no_link_on_the_way_is_followed_whenever_it_is_put_there() {
    for (moment, to) in
        [(None, "link/new"), (None, "link"), (Some(0), "a/b"), (Some(1), "a/b"), (Some(2), "a/b")]
    {
        let scratch = Scratch::new();
        let mut memory = Memory::default();
        memory.add_file("file", b"x");
        let (root, outside) = (scratch.made("root"), scratch.made("outside"));
        symlink(&outside, root.join("link")).unwrap();
        let (way, elsewhere) = (root.join("a"), outside.clone());
        let steps = Steps::with_hook(Box::new(move |step| {
            if Some(step) == moment {
                // Whoever may write there puts a link in the place of the folder that was just made.
                drop(fs::remove_dir_all(&way));
                symlink(&elsewhere, &way).unwrap();
            }
            Ok(())
        }));
        let beneath =
            RestoreOptions { beneath: Some(root.clone()), ..options(Strategy::NewLocation, &root.join(to)) };
        let ended = scratch.restore_by_steps(&memory, &beneath, steps);
        assert!(ended.is_err(), "{moment:?} {to}: {ended:?}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{moment:?} {to}");
    }
    let scratch = Scratch::new();
    let mut memory = Memory::default();
    memory.add_file("file", b"x");
    let root = scratch.made("root");
    for to in ["there", "a/b"] {
        fs::create_dir_all(root.join("there")).unwrap();
        let beneath =
            RestoreOptions { beneath: Some(root.clone()), ..options(Strategy::NewLocation, &root.join(to)) };
        scratch.restore(&memory, &beneath).unwrap();
        assert_eq!(fs::read(root.join(to).join("file")).unwrap(), b"x");
    }
}
