//! What others change while a restore builds is not lost: the restore notices it before anything is in its place, and is undone.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use super::compare::capture;
use super::{Memory, Scratch, options};
use crate::ErrorKind;
use crate::error::Error;
use crate::restore::options::{Overwrite, RestoreOptions, Strategy};
use crate::restore::place::Steps;

/// Some of each kind of thing that a restore replaces, removes or gives other attributes.
fn prepare(scratch: &Scratch) -> Memory {
    let (from, to) = (scratch.made("from"), scratch.made("to"));
    fs::write(from.join("file"), "of the snapshot").unwrap();
    fs::write(to.join("file"), "of before").unwrap();
    fs::write(from.join("was a folder"), "x").unwrap();
    fs::create_dir_all(to.join("was a folder/deep")).unwrap();
    fs::write(to.join("was a folder/deep/note"), "old").unwrap();
    fs::create_dir_all(to.join("extra/deep")).unwrap();
    fs::write(to.join("extra/deep/note"), "old").unwrap();
    for root in [&from, &to] {
        fs::write(root.join("same"), "same").unwrap();
        let file = OpenOptions::new().append(true).open(root.join("same")).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    xattr::set(from.join("same"), "user.which", b"from").unwrap();
    let clock = scratch.at("clock");
    let now = || {
        fs::write(&clock, "").unwrap();
        fs::metadata(&clock).map(|m| (m.ctime(), m.ctime_nsec())).unwrap()
    };
    // Its clock goes in steps: what is changed from here on is changed later.
    let begun = now();
    while now() == begun {}
    Memory::of_folder(&from)
}

/// Writes other bytes of the same number into the same file, and gives it the time that it had.
fn rewrite(file: &Path) {
    let before = fs::metadata(file).unwrap();
    let mut open = OpenOptions::new().write(true).open(file).unwrap();
    open.write_all(b"NEW").unwrap();
    open.set_modified(before.modified().unwrap()).unwrap();
    assert_eq!(
        (before.ino(), before.len()),
        (open.metadata().unwrap().ino(), open.metadata().unwrap().len())
    );
}

#[test]
fn what_is_changed_while_a_restore_builds_stays() {
    for name in ["file", "same", "was a folder/deep/note", "extra/deep/note"] {
        for moment in [0, 2] {
            let scratch = Scratch::new();
            let memory = prepare(&scratch);
            let to = scratch.at("to");
            let before = capture(&to);
            let changed = to.join(name);
            let meanwhile = changed.clone();
            let steps = Steps::with_hook(Box::new(move |step| {
                if step == moment {
                    rewrite(&meanwhile);
                }
                Ok(())
            }));
            let replace =
                RestoreOptions { overwrite: Some(Overwrite::IfChanged), ..options(Strategy::Replace, &to) };
            let error = scratch.restore_by_steps(&memory, &replace, steps).unwrap_err();
            assert!(matches!(error, Error::Undone(_)), "{name}: {error}");
            assert_eq!(error.kind(), ErrorKind::Refused, "{name}: {error}");
            let said = format!("{name}: it was changed since the restore was planned; nothing was touched");
            assert!(error.to_string().contains(&said) || name.contains('/'), "{error}");
            assert!(fs::read(&changed).unwrap().starts_with(b"NEW"), "{name}");
            let mut after = capture(&to);
            assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
            let key = Path::new(name).to_owned();
            let was = before.get(&key).cloned();
            was.and_then(|was| after.insert(key, was)).unwrap();
            assert_eq!(super::compare::between(&before, &after), [""; 0], "{name}");
        }
    }
}

#[test]
fn what_comes_beside_it_while_a_restore_builds_stays_too() {
    let scratch = Scratch::new();
    let memory = prepare(&scratch);
    let to = scratch.at("to");
    let new = to.join("extra/deep/new");
    let meanwhile = new.clone();
    let steps = Steps::with_hook(Box::new(move |step| {
        if step == 0 {
            fs::write(&meanwhile, "new").unwrap();
        }
        Ok(())
    }));
    let error = scratch.restore_by_steps(&memory, &options(Strategy::Replace, &to), steps).unwrap_err();
    assert!(error.to_string().contains("extra: it was changed"), "{error}");
    assert_eq!(fs::read_to_string(new).unwrap(), "new");
}
