//! The walk gives what an independent slow one finds, in order, with all attributes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps};

use super::{entries, write};
use crate::node::{Node, NodeKind, Time};
use crate::source::{FileOptions, FileSource, Item, Origin, Source};
use crate::{TreePath, printable};

#[derive(Clone, Debug)]
enum Thing {
    File(Vec<u8>),
    Dir,
    Symlink(Vec<u8>),
    Fifo,
    Socket,
    Device,
    HardLink,
    Sparse(u32),
}

#[derive(Clone, Debug)]
struct Spec {
    parent: usize,
    name: Vec<u8>,
    thing: Thing,
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, u32),
    xattr: Option<Vec<u8>>,
    acl: bool,
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let odd = prop::sample::select(vec![
        &b"a"[..],
        b"a.b",
        b"a b",
        b"-x",
        b"\xff\xfe",
        b"a\nb",
        b"A",
        b"..x",
        b"!",
        b"a-",
    ]);
    prop_oneof![odd.prop_map(<[u8]>::to_vec), "[a-c!+,.-]{1,3}".prop_map(String::into_bytes)]
        .prop_filter("a name", |n| n != b"." && n != b"..")
}

fn spec() -> impl Strategy<Value = Spec> {
    let thing = prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Thing::File),
        4 => Just(Thing::Dir),
        1 => prop::collection::vec(1_u8..255, 1..20).prop_map(Thing::Symlink),
        1 => Just(Thing::Fifo),
        1 => Just(Thing::Socket),
        1 => Just(Thing::Device),
        2 => Just(Thing::HardLink),
        1 => (1_u32..1 << 20).prop_map(Thing::Sparse),
    ];
    let mtime = (
        prop_oneof![Just(-1_i64), Just(5_000_000_000), -2_000_000_000..7_000_000_000_i64],
        0_u32..1_000_000_000,
    );
    let owner = prop_oneof![Just((0, 0)), (0_u32..70_000, 0_u32..70_000)];
    let xattr = prop::option::of(prop::collection::vec(any::<u8>(), 0..600));
    (0_usize..8, name(), thing, 0_u32..0o10000, owner, mtime, xattr, any::<bool>()).prop_map(
        |(parent, name, thing, mode, owner, mtime, xattr, acl)| Spec {
            parent,
            name,
            thing,
            mode,
            owner,
            mtime,
            xattr,
            acl,
        },
    )
}

/// `user::rw- user:1000:rw- group::r-- mask::rw- other::---` as the kernel keeps it.
const ACL: &[u8] = &[
    2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 6, 0, 232, 3, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255, 16,
    0, 6, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
];

fn make(root: &Path, specs: &[Spec]) {
    let mut dirs = vec![root.to_owned()];
    let mut files: Vec<PathBuf> = Vec::new();
    let mut made: Vec<(PathBuf, &Spec)> = Vec::new();
    for spec in specs {
        let path = dirs[spec.parent % dirs.len()].join(OsString::from_vec(spec.name.clone()));
        if path.symlink_metadata().is_ok() {
            continue;
        }
        match &spec.thing {
            Thing::File(bytes) => fs::write(&path, bytes).unwrap(),
            Thing::Dir => fs::create_dir(&path).unwrap(),
            Thing::Symlink(to) => std::os::unix::fs::symlink(OsString::from_vec(to.clone()), &path).unwrap(),
            Thing::Fifo => rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap(),
            Thing::Socket => rustix::fs::mknodat(CWD, &path, FileType::Socket, Mode::RUSR, 0).unwrap(),
            Thing::Device => {
                let null = rustix::fs::makedev(1, 3);
                // A container may forbid devices, root or not.
                if rustix::fs::mknodat(CWD, &path, FileType::CharacterDevice, Mode::RUSR, null).is_err() {
                    continue;
                }
            }
            Thing::HardLink => match files.last() {
                Some(file) => fs::hard_link(file, &path).unwrap(),
                None => continue,
            },
            Thing::Sparse(len) => fs::File::create(&path).unwrap().set_len(u64::from(*len)).unwrap(),
        }
        match spec.thing {
            Thing::Dir => dirs.push(path.clone()),
            Thing::File(_) => files.push(path.clone()),
            _ => {}
        }
        made.push((path, spec));
    }
    for (path, spec) in made.iter().rev() {
        dress(path, spec);
    }
}

fn dress(path: &Path, spec: &Spec) {
    let link = path.symlink_metadata().unwrap().file_type().is_symlink();
    let (uid, gid) = spec.owner;
    std::os::unix::fs::lchown(path, Some(uid), Some(gid)).unwrap();
    if !link {
        fs::set_permissions(path, fs::Permissions::from_mode(spec.mode)).unwrap();
    }
    let plain = matches!(spec.thing, Thing::File(_) | Thing::Dir);
    if let (Some(value), true) = (&spec.xattr, plain) {
        // Not every file system takes attributes; then none is expected either.
        let _ = xattr::set(path, "user.test", value);
        let _ = xattr::set(path, "trusted.test", value);
    }
    if spec.acl && plain {
        let _ = xattr::set(path, "system.posix_acl_access", ACL);
    }
    let time = Timespec { tv_sec: spec.mtime.0, tv_nsec: i64::from(spec.mtime.1) };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// A slow walk with nothing but the standard library and the crate `xattr`.
fn slow(root: &Path, into: &mut BTreeMap<TreePath, Node>) {
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let m = path.symlink_metadata().unwrap();
        let t = m.file_type();
        let kind = if t.is_dir() {
            NodeKind::Dir
        } else if t.is_symlink() {
            NodeKind::Symlink(fs::read_link(&path).unwrap().into_os_string().into_vec())
        } else if t.is_fifo() {
            NodeKind::Fifo
        } else if t.is_socket() {
            NodeKind::Socket
        } else if t.is_char_device() {
            NodeKind::CharDevice { rdev: m.rdev() }
        } else {
            let class = chronos_store::ChunkClass::Std;
            NodeKind::File(crate::node::Content { class, size: m.len(), extents: Vec::new() })
        };
        let links = if t.is_dir() { 1 } else { m.nlink() as u32 };
        let mut xattrs: Vec<crate::Xattr> = xattr::list(&path)
            .unwrap()
            .map(|n| crate::Xattr {
                value: xattr::get(&path, &n).unwrap().unwrap(),
                name: n.as_bytes().to_vec(),
            })
            .collect();
        xattrs.sort();
        if t.is_file() {
            // Those of files are read with their content.
            xattrs.clear();
        }
        let node = Node {
            kind,
            mode: m.mode() & 0o7777,
            uid: m.uid(),
            gid: m.gid(),
            user: None,
            group: None,
            mtime: Time { seconds: m.mtime(), nanos: u32::try_from(m.mtime_nsec()).unwrap() },
            ctime: Time { seconds: m.ctime(), nanos: u32::try_from(m.ctime_nsec()).unwrap() },
            dev: if links > 1 { m.dev() } else { 0 },
            inode: m.ino(),
            links,
            xattrs,
        };
        into.insert(TreePath::from_absolute(&path).unwrap(), node);
        if t.is_dir() {
            slow(&path, into);
        }
    }
}

fn compare(root: &Path, threads: usize) {
    let options = FileOptions { roots: vec![root.to_owned()], threads, ..FileOptions::default() };
    let all = entries(options);
    assert!(all.windows(2).all(|w| w[0].path < w[1].path), "in order, each once");
    let base = TreePath::from_absolute(root).unwrap();
    let mut expected = BTreeMap::new();
    slow(root, &mut expected);
    let mut found = BTreeMap::new();
    for entry in all {
        if entry.path.strip(&base).is_none() {
            assert!(matches!(entry.origin, Origin::AboveRoot) && base.strip(&entry.path).is_some());
        } else if entry.path != base {
            let mut node = entry.node;
            if node.uid == 0 {
                assert_eq!(node.user.as_deref(), Some("root"));
            }
            (node.user, node.group) = (None, None);
            found.insert(entry.path, node);
        }
    }
    assert_eq!(found, expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn entries_equal_those_of_a_slow_walk(specs in prop::collection::vec(spec(), 0..40), threads in 0_usize..3) {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), &specs);
        compare(dir.path(), threads);
    }
}

#[test]
fn a_folder_of_many_entries_is_walked_in_parts_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..3000 {
        write(dir.path(), &format!("many/f{n}"), "");
        if n % 500 == 0 {
            write(dir.path(), &format!("many/d{n}/x"), "");
        }
    }
    compare(dir.path(), 2);
    compare(dir.path(), 0);
}

#[test]
fn paths_longer_than_one_call_takes_are_walked() {
    let dir = tempfile::tempdir().unwrap();
    let name = "d".repeat(200);
    let mut at = rustix::fs::open(dir.path(), rustix::fs::OFlags::PATH, Mode::empty()).unwrap();
    for _ in 0..30 {
        rustix::fs::mkdirat(&at, &name, Mode::RWXU).unwrap();
        at = rustix::fs::openat(&at, &name, rustix::fs::OFlags::PATH, Mode::empty()).unwrap();
    }
    let create = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
    rustix::fs::openat(&at, "leaf", create, Mode::RWXU).unwrap();
    let all =
        entries(FileOptions { roots: vec![dir.path().to_owned()], threads: 1, ..FileOptions::default() });
    let last = all.last().unwrap();
    assert!(
        last.path.as_bytes().len() > 6000 && last.path.name() == b"leaf",
        "{}",
        printable(last.path.name())
    );
}

#[test]
fn roots_that_overlap_are_walked_once() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a/b/c", "1");
    write(dir.path(), "z", "2");
    let root = |p: &str| dir.path().join(p);
    let all = entries(FileOptions {
        roots: vec![root("a/b"), root("z"), root("a"), root("a/b/c"), root("a/../a/./b")],
        ..FileOptions::default()
    });
    let base = TreePath::from_absolute(dir.path()).unwrap();
    let names: Vec<_> = all.iter().filter_map(|e| e.path.strip(&base)).map(printable).collect();
    assert_eq!(names, ["", "a", "a/b", "a/b/c", "z"]);
}

#[test]
fn a_folder_that_is_replaced_before_it_is_listed_is_named_and_one_that_is_gone_is_not() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["b-kept", "c-gone", "d-file", "e-folder", "f-link"] {
        write(dir.path(), &format!("{name}/x"), "1");
    }
    write(dir.path(), "a", "1");
    let base = TreePath::from_absolute(dir.path()).unwrap();
    // Without threads folders are listed when they are taken, after the ones beside them were seen.
    let options = FileOptions { roots: vec![dir.path().to_owned()], threads: 0, ..FileOptions::default() };
    let mut items = FileSource::new(options).unwrap().open().unwrap();
    let first = items.find(|i| matches!(i, Item::Entry(e) if e.path.name() == b"a"));
    assert!(first.is_some());
    for name in ["c-gone", "d-file", "e-folder", "f-link"] {
        fs::rename(dir.path().join(name), dir.path().join(format!("was-{name}"))).unwrap();
    }
    write(dir.path(), "d-file", "2");
    write(dir.path(), "e-folder/other", "2");
    std::os::unix::fs::symlink("was-f-link", dir.path().join("f-link")).unwrap();
    let found: Vec<_> = items
        .map(|item| match item {
            Item::Entry(e) => printable(e.path.strip(&base).unwrap()),
            Item::Problem(p) => format!("! {}", p.path.rsplit('/').next().unwrap()),
            Item::Failed(why) => panic!("{why}"),
        })
        .collect();
    assert_eq!(found, ["b-kept", "b-kept/x", "! d-file", "e-folder", "! e-folder", "! f-link"]);
}

#[test]
fn a_root_inside_what_another_root_leaves_out_is_walked_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a/cache/x", "1");
    write(dir.path(), "a/d", "2");
    let all = entries(FileOptions {
        roots: vec![dir.path().join("a"), dir.path().join("a/cache")],
        excludes: vec!["cache".to_owned()],
        ..FileOptions::default()
    });
    let base = TreePath::from_absolute(dir.path()).unwrap();
    let names: Vec<_> = all.iter().filter_map(|e| e.path.strip(&base)).map(printable).collect();
    assert_eq!(names, ["", "a", "a/cache", "a/cache/x", "a/d"]);
}

#[test]
fn a_root_that_links_to_a_folder_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "real/x", "1");
    std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("dangling")).unwrap();
    let all = entries(FileOptions {
        roots: vec![dir.path().join("link"), dir.path().join("dangling")],
        ..FileOptions::default()
    });
    let tail: Vec<_> =
        all.iter().rev().take(3).map(|e| (printable(e.path.name()), e.node.is_dir())).collect();
    assert_eq!(tail, [("x".to_owned(), false), ("link".to_owned(), true), ("dangling".to_owned(), false)]);
}

#[test]
fn a_missing_root_is_named_and_the_others_are_walked() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "x", "1");
    let options = |roots| FileOptions { roots, ..FileOptions::default() };
    let mut source = FileSource::new(options(vec![dir.path().join("gone"), dir.path().join("x")])).unwrap();
    let items: Vec<_> = source.open().unwrap().collect();
    assert!(matches!(&items[0], Item::Problem(p) if p.path.ends_with("/gone")));
    assert!(matches!(items.last(), Some(Item::Entry(e)) if e.path.name() == b"x"));
    let error = FileSource::new(options(vec![dir.path().join("gone")])).unwrap_err();
    assert!(error.to_string().contains("gone"), "{error}");
    FileSource::new(options(vec![])).unwrap_err();
}

#[test]
fn folders_of_the_program_itself_are_never_taken() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "repo/packs/p", "1");
    write(dir.path(), "x", "1");
    let own = vec![dir.path().join("repo"), dir.path().join("not-yet")];
    let options = FileOptions { own, ..FileOptions::default() };
    assert_eq!(super::paths(dir.path(), options.clone()), ["x"]);
    let inside = FileOptions { roots: vec![dir.path().join("repo/packs")], ..options };
    let error = FileSource::new(inside).unwrap_err();
    assert!(error.to_string().contains("chronos itself"), "{error}");
}

#[test]
fn a_long_list_of_roots_is_named_in_short_and_still_told_from_others() {
    let dir = tempfile::tempdir().unwrap();
    let list = |count: usize| {
        let path = |n| {
            write(dir.path(), &format!("f{n}"), "");
            dir.path().join(format!("f{n}"))
        };
        let roots = (0..count).map(path).collect();
        FileSource::new(FileOptions { roots, ..FileOptions::default() }).unwrap().paths()
    };
    let (a, b) = (list(1000), list(1001));
    assert!(a.len() == 51 && b.len() == 51 && a != b && a == list(1000), "{:?}", a.last());
}
