//! Nothing is written or read outside the place that was named, whatever the names in a tree are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use chronos_tests::compare::{Captured, between, capture};
use serde_json::json;

use super::forge::{Entry, Extent, Forge, Kind, file, home_with, honest, of};
use crate::support::Home;

/// Everything in a home but what belongs to the program, and but the one place that may be written.
fn outside(home: &Home) -> BTreeMap<PathBuf, Captured> {
    let ours = |path: &Path| [".local", ".cache", "forger", "in"].iter().any(|own| path.starts_with(own));
    let mut found = capture(&home.path(""));
    found.retain(|path, _| !ours(path) && !path.as_os_str().is_empty());
    found
}

/// Looks at a forged snapshot with every command; nothing may change outside the folder `in`.
#[track_caller]
fn contained(home: &Home, what: &str) {
    home.file("secret/file", b"secret");
    fs::create_dir_all(home.path("in")).unwrap();
    let before = outside(home);
    let commands: &[&[&str]] = &[
        &["restore", "forged", "--to", "in/new"],
        &["restore", "forged", "--to", "in/new", "--strategy", "overwrite", "--no-restore-point"],
        &["restore", "forged", "--to", "in/other", "--strategy", "replace", "--no-restore-point"],
        &["restore", "forged", "--to", "in/other", "--strategy", "merge", "--no-restore-point"],
        &["restore", "forged", "--to", "in/sparse", "--sparse", "--no-verify"],
        &["export", "forged", "-o", "in/a.tar"],
        &["export", "forged", "-o", "in/a.zip"],
        &["ls", "-lR", "forged"],
        &["ls", "forged", "--json"],
        &["find", "**", "--snapshot", "forged"],
        &["diff", "latest", "forged"],
        &["cat", "forged:link/file"],
        &["cat", "forged:../secret/file"],
        &["versions", "link/file"],
        &["verify", "forged"],
        &["stats"],
        &["check", "--read-data"],
        &["repair", "snapshots"],
        &["prune"],
    ];
    for words in commands {
        let ran = home.run(*words);
        assert!([0, 1, 2, 3, 4].contains(&ran.code), "{what}: {words:?}: {ran:?}");
        assert!(!ran.stderr.contains("panicked"), "{what}: {words:?}: {ran:?}");
        assert!(!ran.stdout.contains("secret\n") || words[0] != "cat", "{what}: {words:?}: {ran:?}");
        assert_eq!(between(&before, &outside(home)), [""; 0], "{what}: {words:?}");
    }
    for archive in ["in/a.tar", "in/a.zip"] {
        members_stay(home, what, archive);
    }
    // What is honest is not touched by it.
    home.run(["restore", "latest", "--to", "in/honest"]).code(0);
    fs::remove_dir_all(home.path("in/honest")).unwrap();
}

/// Unpacks an archive as somebody would who trusts it.
fn members_stay(home: &Home, what: &str, archive: &str) {
    let path = home.path(archive);
    if !path.exists() {
        return;
    }
    const UNPACK: &str = "
import sys, tarfile, zipfile, posixpath
path = sys.argv[1]
if path.endswith('.tar'):
    members = [(m.name, m.issym()) for m in tarfile.open(path)]
else:
    members = [(m.filename, (m.external_attr >> 28) == 10) for m in zipfile.ZipFile(path).infolist()]
links = [n for n, link in members if link]
for name, _ in members:
    parts = name.rstrip('/').split('/')
    assert not name.startswith('/') and '..' not in parts and '' not in parts and '.' not in parts, name
    assert not any(name.startswith(link.rstrip('/') + '/') for link in links), 'below a link: ' + name
";
    let ran = std::process::Command::new("python3").args(["-c", UNPACK]).arg(&path).output().unwrap();
    assert!(ran.status.success(), "{what}: {archive}: {}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let long = "x/".repeat(40_000);
    let names: &[&[u8]] = &[
        b"",
        b"/",
        b".",
        b"..",
        b"../secret/file",
        b"a/../../secret/file",
        b"/secret/file",
        b"a//b",
        b"a/",
        b"a/.",
        b"./a",
        b"a\0b",
        b"a/..",
        long.as_bytes(),
    ];
    for name in names {
        let home = home_with(&[file(*name, b"stolen")]);
        let ran = home.run(["ls", "-R", "forged"]);
        assert_eq!(ran.code, 4, "{}: {ran:?}", name.escape_ascii());
        contained(&home, &name.escape_ascii().to_string());
    }
}

#[test]
fn links_lead_nobody_out() {
    let absolute = |home: &Home| home.path("secret").into_os_string().into_encoded_bytes();
    for below in [&b"link/file"[..], b"link/new/deep", b"link"] {
        for leads in [b"../../secret".to_vec(), b"/etc".to_vec(), b".".to_vec(), b"..".to_vec(), Vec::new()] {
            let home = honest();
            let leads = if leads == b"/etc" { absolute(&home) } else { leads };
            let forge = Forge::new(&home);
            let entries =
                [of(&b"link"[..], Kind::Symlink(leads)), file(below, b"stolen"), file(&b"ok"[..], b"ok")];
            let tree = forge.leaf(&entries, b"name");
            forge.commit(tree, json!({}));
            contained(&home, &below.escape_ascii().to_string());
        }
    }
}

#[test]
fn what_says_it_is_one_file_is_not_linked_to_what_is_outside() {
    let linked = |path: &str, bytes: &[u8]| Entry { same: (1, 2), ..file(path, bytes) };
    let links = Kind::Symlink(b"../../secret/file".to_vec());
    let home = home_with(&[
        Entry { same: (1, 2), ..of("a", links) },
        linked("b", b"one"),
        linked("c", b"other"),
        Entry { same: (1, 2), ..of("d", Kind::Dir) },
        linked("e", b"more"),
    ]);
    contained(&home, "hard links");
}

#[test]
fn names_twice_files_that_are_folders_and_types_that_there_are_not() {
    let cases: Vec<(&str, Vec<Entry>)> = vec![
        ("twice", vec![file("a", b"1"), file("a", b"2")]),
        ("out of order", vec![file("b", b"1"), file("a", b"2")]),
        ("file and folder", vec![file("a", b"1"), file("a/b", b"2")]),
        ("device and folder", vec![of("a", Kind::CharDevice(0x105)), file("a/b", b"2")]),
        ("unknown", vec![of("a", Kind::Unknown(7)), file("b", b"2")]),
        ("mode", vec![Entry { mode: 0o100_644, ..file("a", b"1") }]),
    ];
    for (what, entries) in cases {
        contained(&home_with(&entries), what);
    }
}

#[test]
fn lengths_that_cannot_be_are_refused_before_anything_is_allocated() {
    let cases: Vec<(&str, Vec<Extent>)> = vec![
        ("chunk shorter than said", vec![Extent::Data(b"ab".to_vec(), 1 << 30)]),
        ("chunk longer than said", vec![Extent::Data(b"abcdef".to_vec(), 2)]),
        ("chunk of 2^32", vec![Extent::Data(b"ab".to_vec(), 1 << 32)]),
        ("overflow", vec![Extent::Hole(u64::MAX), Extent::Hole(2)]),
        ("a chunk and zeros without end", vec![Extent::Data(b"ab".to_vec(), 2), Extent::Zero(u64::MAX - 3)]),
        ("empty extent", vec![Extent::Hole(0), Extent::Data(b"ab".to_vec(), 2)]),
        ("more than a file can be", vec![Extent::Hole(u64::MAX)]),
    ];
    for (what, extents) in cases {
        let home = home_with(&[of("a", Kind::File(extents)), file("b", b"fine")]);
        let ran = home.run(["restore", "forged", "--to", "in"]);
        assert!([1, 3, 4].contains(&ran.code) && !ran.stderr.contains("panicked"), "{what}: {ran:?}");
        let ran = home.run(["verify", "forged"]);
        assert!([0, 4].contains(&ran.code), "{what}: {ran:?}");
    }
}

#[test]
fn files_named_after_a_snapshot_stay_here() {
    for name in ["../../outside", "/outside", "a/b", "..", "\u{1b}[31m", "new\nline"] {
        for field in ["backup_id", "target", "tier", "name"] {
            let home = honest();
            let forge = Forge::new(&home);
            let tree = forge.leaf(&[file("a", b"1")], b"name");
            let mut fields = json!({"created_at": "2027-01-02T03:04:05Z"});
            fields[field] = json!(name);
            if field != "name" && field != "backup_id" {
                fields["name"] = json!("x");
            }
            forge.commit(tree, fields);
            let id =
                home.run(["snapshots", "--json"]).code(0).json()[0]["snapshot"].as_str().unwrap().to_owned();
            let before = outside(&home);
            fs::create_dir_all(home.path("in/here")).unwrap();
            let mut export = home.command(["export", &id]);
            let ran = crate::support::finish(export.current_dir(home.path("in/here")).spawn().unwrap());
            assert_eq!(ran.code, 0, "{name:?} {field}: {ran:?}");
            assert_eq!(fs::read_dir(home.path("in/here")).unwrap().count(), 1, "{name:?} {field}: {ran:?}");
            let mut restore = home.command(["restore", &id]);
            let ran = crate::support::finish(restore.current_dir(home.path("in/here")).spawn().unwrap());
            assert_eq!(ran.code, 0, "{name:?} {field}: {ran:?}");
            assert_eq!(between(&before, &outside(&home)), [""; 0], "{name:?} {field}");
            assert_eq!(fs::read_dir(home.path("in")).unwrap().count(), 1, "{name:?} {field}: {ran:?}");
        }
    }
}
