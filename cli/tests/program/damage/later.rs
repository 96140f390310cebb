//! What a later version wrote is refused and stays as it is, byte for byte; what nobody knows is never deleted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::fixture::{Copy, Fixture, objects, replace};
use super::objects::object;

/// Every command that reads or writes a repository.
const COMMANDS: &[&[&str]] = &[
    &["snapshots"],
    &["ls", "latest"],
    &["find", "a.txt"],
    &["stats"],
    &["restore", "latest", "--to", "out"],
    &["verify", "latest"],
    &["check"],
    &["check", "--read-data"],
    &["backup", "somewhere"],
    &["forget", "--keep-last", "1"],
    &["delete", "latest"],
    &["tag", "latest", "--add", "x"],
    &["hold", "latest"],
    &["prune"],
    &["cleanup", "--keep-last", "1"],
    &["repair", "index"],
    &["repair", "packs"],
    &["repair", "snapshots"],
    &["keys", "list"],
    &["keys", "add", "--new-key-file", "new.key"],
    &["keys", "remove", "ffffffff"],
    &["rewrite", "latest", "--exclude", "a.txt"],
    &["export", "latest", "-o", "out.tar"],
];

/// All files of a repository; of the reserve, which is 8 MiB of nothing, only that it is there.
fn bytes_of(copy: &Copy) -> BTreeMap<PathBuf, Vec<u8>> {
    fn gather(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                gather(&path, found);
            } else {
                let bytes = if path.ends_with("reserve") { Vec::new() } else { fs::read(&path).unwrap() };
                found.insert(path, bytes);
            }
        }
    }
    let mut found = BTreeMap::new();
    gather(&copy.home.repository(), &mut found);
    found
}

/// Puts a later version into a header and makes its check fit.
fn later(header: &mut [u8]) {
    header[8] = 2;
    let check = blake3::hash(&[&header[..28], &header[32..64]].concat());
    header[28..32].copy_from_slice(&check.as_bytes()[..4]);
}

/// Makes an object one of a later version.
fn make_later(copy: &Copy, name: &str) {
    let file = copy.file(name);
    let mut bytes = fs::read(&file).unwrap();
    later(&mut bytes[..64]);
    if name.starts_with("packs/") {
        let end = bytes.len();
        let copied = end - 164 + 28;
        later(&mut bytes[copied..copied + 64]);
        let hash = blake3::hash(&bytes[..end - 40]);
        bytes[end - 40..end - 8].copy_from_slice(hash.as_bytes());
    }
    replace(&file, Some(&bytes));
}

#[test]
fn a_repository_of_a_later_version_is_refused_and_stays_as_it_is() {
    let fixture = Fixture::new();
    let text = fs::read_to_string(fixture.copy().file("config")).unwrap();
    let (line, seal) = text.split_once('\n').unwrap();
    let changes = [
        ("version 2", "\"version\":1", "\"version\":2"),
        ("feature \"parity\"", "\"features\":[]", "\"features\":[\"parity\"]"),
        ("suite 2", "\"suite\":1", "\"suite\":2"),
        ("version 2", "{\"version\":1", "{\"other\":{\"new\":[]},\"version\":2"),
    ];
    for (told, from, to) in changes {
        assert!(line.contains(from), "{line}");
        let line = format!("{}\n", line.replace(from, to));
        let mac = seal.split_once(' ').unwrap().1;
        let copy = fixture.copy();
        let config = format!("{line}{} {mac}", blake3::hash(line.as_bytes()).to_hex());
        replace(&copy.file("config"), Some(config.as_bytes()));
        copy.home.file("somewhere/file", b"new");
        let before = bytes_of(&copy);
        for words in COMMANDS {
            let ran = copy.run(words);
            let clear = ran.stderr.contains("config needs a newer chronos") && ran.stderr.contains(told);
            assert!(ran.code == 1 && clear, "{to}: {words:?}: {ran:?}");
            assert!(bytes_of(&copy) == before, "{to}: {words:?} changed the repository");
        }
        assert!(copy.run(&["init"]).code != 0 && bytes_of(&copy) == before);
    }
}

#[test]
fn an_object_of_a_later_version_is_told_from_damage_and_never_removed() {
    let fixture = Fixture::new();
    // Of states the log holds hashes: another one than it names is damage.
    for kind in ["first pack", "new pack", "index", "new decision", "newest record", "announcement"] {
        let name = object(&fixture, kind).0;
        let copy = fixture.copy();
        make_later(&copy, &name);
        let (mut refused, bytes) = (0, fs::read(copy.file(&name)).unwrap());
        for words in COMMANDS {
            let copy = copy.fork();
            copy.home.file("somewhere/file", b"new");
            let before = bytes_of(&copy);
            let ran = copy.run(words);
            assert_eq!(fs::read(copy.file(&name)).ok().as_ref(), Some(&bytes), "{kind}: {words:?}: {ran:?}");
            if ran.stderr.contains("needs a newer chronos") {
                refused += 1;
                assert!(ran.stderr.contains(&name) && ran.code != 0, "{kind}: {words:?}: {ran:?}");
                let after = bytes_of(&copy);
                let kept =
                    before.iter().all(|(path, bytes)| is_session(path) || after.get(path) == Some(bytes));
                assert!(kept, "{kind}: {words:?} removed something");
            } else {
                assert_ne!(ran.code, 4, "{kind}: {words:?} takes it for damage: {ran:?}");
            }
        }
        // Nobody needs to read the announcement of a session that has ended.
        assert!(refused >= if kind == "announcement" { 0 } else { 6 }, "{kind}: {refused}");
    }
}

/// Whether this is of a running session: a dead one of this host is ended by whoever begins a session.
fn is_session(path: &Path) -> bool {
    path.parent().is_some_and(|folder| folder.ends_with("sess"))
}

#[test]
fn what_nobody_knows_is_never_deleted() {
    let fixture = Fixture::new();
    let copy = fixture.copy();
    let pack = &fixture.taken["old"].pack;
    let session = pack.rsplit_once('/').unwrap().0;
    let mut unknown: Vec<String> =
        ["README", "parity/0000", "future/deep/er", "config.old", "lost+found/x"].map(str::to_owned).into();
    for area in ["keys", "sess", "packs", "index", "snap", "state", "name"] {
        unknown.push(format!("{area}/unknown"));
        unknown.push(format!("{area}/zz.part"));
        unknown.push(format!("{area}/{}", "x".repeat(32)));
    }
    unknown.push("log/zz.part".to_owned());
    unknown.push(format!("index/m-{}", "x".repeat(32)));
    unknown.push(format!("index/m-{}", "a".repeat(31)));
    unknown.push(format!("{session}/readme"));
    unknown.push(format!("{pack}.bak"));
    unknown.push("packs/not-a-session/00000000-00000000".to_owned());
    unknown.push("sess/0000000000-vm-0000000000000000.note".to_owned());
    for name in &unknown {
        copy.home
            .file(&format!(".local/share/chronos/repository/{name}"), format!("bytes of {name}").as_bytes());
    }
    let stay = |when: &str| {
        for name in &unknown {
            let bytes = fs::read(copy.file(name)).unwrap_or_default();
            assert_eq!(bytes, format!("bytes of {name}").as_bytes(), "{name} after {when}");
        }
    };
    let data = fixture.data();
    let data = data.to_str().unwrap();
    let id = |called: &str| fixture.taken[called].id.as_str();
    let steps: &[&[&str]] = &[
        &["backup", data],
        &["check", "--read-data"],
        &["delete", id("other"), id("touched")],
        &["prune"],
        &["repair", "index"],
        &["repair", "packs"],
        &["repair", "snapshots"],
        &["prune", "--max-unused", "0%"],
        &["cleanup", "--keep-last", "1"],
        &["check", "--read-data"],
    ];
    for words in steps {
        let ran = copy.run(words);
        stay(&format!("{words:?}: {ran:?}"));
    }
    let packs = objects(&copy.home.repository()).into_iter().filter(|name| name.starts_with("packs/0"));
    assert!(packs.count() < 6, "space was given back all the same");
    // With damage to mend as well.
    replace(&copy.file(&fixture.taken["new"].pack), None);
    for words in [&["repair", "index"][..], &["repair", "packs"], &["repair", "snapshots"], &["prune"]] {
        copy.run(words);
        stay(&format!("{words:?} with damage"));
    }
}
