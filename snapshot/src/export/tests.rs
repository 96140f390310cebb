//! Tests of archives, read back by other programs' code.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{Cursor, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use chronos_store::{Collect, Silent};

use super::*;
use crate::node::{Extent, Time};
use crate::tree::tests::{Memory, build, chunk, file, node, path, tree, xattr};

const LONG: &str =
    "a/a-name-that-is-long/a-name-that-is-long/a-name-that-is-long/a-name-that-is-long/a-name-that-is-long/x";

fn entries(store: &Memory) -> BTreeMap<TreePath, Node> {
    let dir = || Node { mode: 0o755, ..node(NodeKind::Dir) };
    let mut entries = BTreeMap::from([(path("a"), dir())]);
    let mut at = path(LONG).parent();
    while let Some(folder) = at.filter(|f| !f.is_root()) {
        entries.insert(folder.clone(), dir());
        at = folder.parent();
    }
    let text = node(file(vec![chunk(store, b"hello "), Extent::Hole { len: 1000 }, chunk(store, b"world")]));
    entries.insert(path(LONG), text.clone());
    let linked = Node { links: 2, inode: 5, ..text.clone() };
    entries.insert(path("a/one"), linked.clone());
    entries.insert(path("a/two"), linked);
    let mut old = Node { mtime: Time { seconds: -2, nanos: 500_000_000 }, ..text };
    old.xattrs = vec![xattr("user.a=b%", b"v\0")];
    old.uid = 3_000_000_000;
    old.user = Some("j\u{f6}rg".into());
    entries.insert(path("a/old"), old);
    entries.insert(path("a/link"), node(NodeKind::Symlink(b"../../etc/passwd".to_vec())));
    entries.insert(path("a/fifo"), node(NodeKind::Fifo));
    entries.insert(path("a/dev"), node(NodeKind::CharDevice { rdev: rustix::fs::makedev(5, 1) }));
    entries.insert(path("a/socket"), node(NodeKind::Socket));
    let odd = TreePath::new(b"a/c:\\..\\\xff%".to_vec()).unwrap();
    entries.insert(odd, node(file(vec![chunk(store, b"odd")])));
    entries
}

fn export(format: ExportFormat, base: &str) -> Result<(Vec<u8>, ExportReport)> {
    let store = Arc::new(Memory::default());
    let tree = tree(&store, build(&store, &entries(&store)).unwrap().0);
    let mut out = Vec::new();
    let options = ExportOptions { format, base: path(base), level: None };
    let report = tree.export(&options, &mut out, &Silent)?;
    Ok((out, report))
}

fn content() -> Vec<u8> {
    [&b"hello "[..], &[0; 1000], b"world"].concat()
}

#[test]
fn a_tar_holds_every_attribute() {
    let (bytes, report) = export(ExportFormat::Tar, "").unwrap();
    assert_eq!(report.skipped.len(), 1);
    let mut archive = ::tar::Archive::new(&bytes[..]);
    let mut seen = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let pax: BTreeMap<_, _> = entry
            .pax_extensions()
            .unwrap()
            .into_iter()
            .flatten()
            .map(|e| e.map(|e| (e.key().unwrap().to_owned(), e.value_bytes().to_vec())).unwrap())
            .collect();
        let mut text = Vec::new();
        entry.read_to_end(&mut text).unwrap();
        let name = entry.path_bytes().into_owned();
        seen.insert(
            name,
            (entry.header().clone(), pax, text, entry.link_name_bytes().map(std::borrow::Cow::into_owned)),
        );
    }
    assert_eq!(seen.len() as u64, report.entries);
    let get = |name: &str| &seen[name.as_bytes()];
    assert_eq!(get(LONG).2, content());
    assert_eq!(get("a/two").3.as_deref(), Some(&b"a/one"[..]));
    assert_eq!(get("a/link").3.as_deref(), Some(&b"../../etc/passwd"[..]));
    let old = &get("a/old").1;
    assert_eq!(old["mtime"], b"-1.500000000");
    assert_eq!(old["SCHILY.xattr.user.a%3Db%25"], b"v\0");
    assert_eq!(old["uid"], b"3000000000");
    assert_eq!(old["uname"], "j\u{f6}rg".as_bytes());
    assert_eq!(get("a/dev").0.device_major().unwrap(), Some(5));
    assert_eq!(get("a/one").1["mtime"], b"1700000000.123456789");
    assert!(seen.keys().all(|name| !name.starts_with(b"/")));
}

#[test]
fn gnu_tar_extracts_what_was_exported() {
    let dir = tempfile::tempdir().unwrap();
    let (bytes, _) = export(ExportFormat::TarZst, "a").unwrap();
    let plain = zstd::decode_all(&bytes[..]).unwrap();
    let mut tar = Command::new("tar")
        .args(["-x", "--no-same-owner", "--exclude=dev", "-C"])
        .arg(dir.path())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    tar.stdin.take().unwrap().write_all(&plain).unwrap();
    assert!(tar.wait().unwrap().success());
    let at = |name: &str| dir.path().join(name);
    assert_eq!(std::fs::read(at(LONG.strip_prefix("a/").unwrap())).unwrap(), content());
    assert_eq!(at("one").metadata().unwrap().ino(), at("two").metadata().unwrap().ino());
    assert_eq!(at("one").metadata().unwrap().mtime_nsec(), 123_456_789);
    assert_eq!(std::fs::read_link(at("link")).unwrap(), Path::new("../../etc/passwd"));
    assert!(at("fifo").metadata().unwrap().file_type().is_fifo());
    let old = at("old").metadata().unwrap();
    assert_eq!((old.mtime(), old.mtime_nsec(), old.mode() & 0o7777), (-2, 500_000_000, 0o644));
    assert_eq!(std::fs::read(dir.path().join(OsStr::from_bytes(b"c:\\..\\\xff%"))).unwrap(), b"odd");
}

#[test]
fn a_zip_holds_files_with_modes_and_harmless_names() {
    let (bytes, report) = export(ExportFormat::Zip, "a").unwrap();
    let mut zip = ::zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    assert_eq!(zip.len() as u64, report.entries);
    assert_eq!(report.skipped.len(), 3);
    let mut text = Vec::new();
    let mut two = zip.by_name("two").unwrap();
    two.read_to_end(&mut text).unwrap();
    assert_eq!(two.unix_mode().unwrap() & 0o7777, 0o644);
    assert_eq!(two.last_modified().unwrap().year(), 2023);
    drop(two);
    assert_eq!(text, content());
    assert!(zip.by_name("link").unwrap().is_symlink());
    assert!(zip.by_name("c%3a%5c..%5c%ff%25").is_ok());
    for i in 0..zip.len() {
        assert!(zip.by_index(i).unwrap().enclosed_name().is_some());
    }
}

#[test]
fn one_file_an_unknown_path_and_a_wrong_level() {
    let (bytes, report) = export(ExportFormat::Tar, "a/one").unwrap();
    assert_eq!((report.entries, report.bytes), (1, 1011));
    let mut archive = ::tar::Archive::new(&bytes[..]);
    let first = archive.entries().unwrap().next().unwrap().unwrap();
    assert_eq!(&*first.path_bytes(), b"one");
    assert!(matches!(export(ExportFormat::Tar, "b"), Err(Error::NotFound { .. })));
    let empty = Arc::new(Memory::default());
    let tree = tree(&empty, build(&empty, &BTreeMap::new()).unwrap().0);
    let mut options = ExportOptions { format: ExportFormat::TarZst, base: path(""), level: Some(99) };
    tree.export(&options, &mut Vec::new(), &Silent).unwrap_err();
    options.level = Some(19);
    assert_eq!(tree.export(&options, &mut Vec::new(), &Silent).unwrap().entries, 0);
}

#[test]
fn the_same_tree_gives_the_same_bytes() {
    for format in [ExportFormat::Tar, ExportFormat::TarZst, ExportFormat::Zip] {
        assert_eq!(export(format, "").unwrap(), export(format, "").unwrap());
        assert_eq!(ExportFormat::of_file_name(&format!("x.{}", format.extension())), Some(format));
        assert_eq!(format.extension().parse::<ExportFormat>().unwrap(), format);
    }
    assert_eq!(ExportFormat::of_file_name("x.gz"), None);
    assert!("rar".parse::<ExportFormat>().is_err());
}

#[test]
fn a_full_output_and_a_cancelled_export_are_errors() {
    let store = Arc::new(Memory::default());
    let tree = tree(&store, build(&store, &entries(&store)).unwrap().0);
    for format in [ExportFormat::Tar, ExportFormat::TarZst, ExportFormat::Zip] {
        let options = ExportOptions { format, base: path(""), level: None };
        let mut small = [0; 200];
        let error = tree.export(&options, &mut &mut small[..], &Silent).unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error}");
        let monitor = Collect::default();
        monitor.cancel();
        assert_eq!(
            tree.export(&options, &mut Vec::new(), &monitor).unwrap_err().kind(),
            crate::error::ErrorKind::Interrupted
        );
    }
}
