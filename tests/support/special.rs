//! A small tree with one of everything a file system can hold.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::Path;
use std::process::Command;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, makedev, mknodat, utimensat};

/// Builds the tree in `root`, which must exist. Needs root and the Debian package `acl`.
pub fn special_tree(root: &Path) {
    contents(root);
    names(root);
    links_and_devices(root);
    attributes(root);
    times(root);
}

fn put(path: &Path, bytes: &[u8]) {
    File::create(path).unwrap().write_all(bytes).unwrap();
}

fn contents(root: &Path) {
    put(&root.join("empty"), b"");
    put(&root.join("text"), b"a line\n");
    let noise: Vec<u8> =
        (0_u64..3 << 20).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    put(&root.join("noise"), &noise);
    put(&root.join("zeros"), &vec![0; 1 << 20]);
    let rows: String = (0..40_000).map(|i| format!("{i}\tsome value {}\n", i % 97)).collect();
    put(&root.join("rows.sql"), rows.as_bytes());
    let mut sparse = File::create(root.join("sparse")).unwrap();
    sparse.seek(SeekFrom::Start(5 << 20)).unwrap();
    sparse.write_all(b"in the middle").unwrap();
    sparse.set_len(9 << 20).unwrap();
    File::create(root.join("all hole")).unwrap().set_len(4 << 20).unwrap();
}

fn names(root: &Path) {
    let folder = root.join("names");
    fs::create_dir(&folder).unwrap();
    for name in [
        &b"not utf-8 \xff\xfe"[..],
        b"new\nline",
        b"esc \x1b[31mred",
        b" lead and trail ",
        b"-dash",
        b"*?[glob]",
        b"a\\b",
    ] {
        put(&folder.join(OsStr::from_bytes(name)), name);
    }
    put(&folder.join("n".repeat(255)), b"longest name");
    let mut deep = root.join("deep");
    for _ in 0..60 {
        deep.push("level");
    }
    fs::create_dir_all(&deep).unwrap();
    put(&deep.join("bottom"), b"deep");
    // Orders of bytes and of paths differ here: '-' and '.' sort before '/'.
    for name in ["a", "a-b", "a.b"] {
        fs::create_dir(root.join(name)).unwrap();
        put(&root.join(name).join("x"), name.as_bytes());
    }
    fs::create_dir(root.join("empty folder")).unwrap();
}

fn links_and_devices(root: &Path) {
    symlink("text", root.join("link")).unwrap();
    symlink("/does/not/exist", root.join("dangling")).unwrap();
    symlink(OsStr::from_bytes(b"\xff bytes"), root.join("odd link")).unwrap();
    lchown(root.join("link"), Some(1234), Some(4321)).unwrap();
    put(&root.join("first name"), b"one file, three names");
    fs::hard_link(root.join("first name"), root.join("second name")).unwrap();
    fs::hard_link(root.join("first name"), root.join("a/third name")).unwrap();
    let node = |name: &str, kind, device| {
        mknodat(CWD, root.join(name), kind, Mode::from_raw_mode(0o640), device).unwrap();
    };
    node("pipe", FileType::Fifo, 0);
    node("null", FileType::CharacterDevice, makedev(1, 3));
    node("loop", FileType::BlockDevice, makedev(7, 99));
}

fn attributes(root: &Path) {
    put(&root.join("setuid"), b"#!/bin/sh\n");
    chown(root.join("setuid"), Some(1000), Some(1001)).unwrap();
    fs::set_permissions(root.join("setuid"), fs::Permissions::from_mode(0o6755)).unwrap();
    put(&root.join("no rights"), b"secret");
    fs::set_permissions(root.join("no rights"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::create_dir(root.join("sticky")).unwrap();
    fs::set_permissions(root.join("sticky"), fs::Permissions::from_mode(0o1777)).unwrap();
    put(&root.join("attributed"), b"x");
    xattr::set(root.join("attributed"), "user.plain", b"value").unwrap();
    xattr::set(root.join("attributed"), "user.binary", b"\0\xff\n").unwrap();
    xattr::set(root.join("attributed"), "user.empty", b"").unwrap();
    xattr::set(root.join("attributed"), "trusted.mine", b"root only").unwrap();
    xattr::set(root.join("sticky"), "user.on a folder", b"yes").unwrap();
    for (rights, name) in [("u:1000:rw,g:1001:r", "attributed"), ("d:u:1000:rwx", "sticky")] {
        let done = Command::new("setfacl").args(["-m", rights]).arg(root.join(name)).status();
        assert!(done.expect("setfacl (Debian package acl)").success(), "setfacl {rights} {name}");
    }
}

fn times(root: &Path) {
    let set = |name: &str, seconds: i64, nanos: i64| {
        put(&root.join(name), name.as_bytes());
        let time = Timespec { tv_sec: seconds, tv_nsec: nanos };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, root.join(name), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    };
    set("before 1970", -1_000_000_000, 123_456_789);
    set("just before 1970", -1, 999_999_999);
    set("after 2100", 4_200_000_000, 1);
    set("to the nanosecond", 1_700_000_000, 987_654_321);
    let time = Timespec { tv_sec: 1_000_000_000, tv_nsec: 5 };
    let times = Timestamps { last_access: time, last_modification: time };
    for name in ["link", "empty folder", "deep/level/level"] {
        utimensat(CWD, root.join(name), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}
