//! Targets of text: paths as they are shown, patterns, ignore files, tags, lists of paths, names of users, spans.

use std::os::unix::ffi::OsStrExt;

use chronos_store::fuzz::Target;

use crate::backup::{check_name, check_target};
use crate::export::ExportFormat;
use crate::path::{TreePath, printable};
use crate::read::{Case, Patterns};
use crate::resolve::parse_path;
use crate::restore::{Overwrite, Strategy};
use crate::retention::{Count, Within};
use crate::source::rules::RulesBuilder;
use crate::source::{Tag, names, read_path_list};

/// Patterns are compiled to regular expressions, which hold some hundred KiB each at least.
const COMPILED: usize = 64 << 20;

pub(super) const TARGETS: &[Target] = &[
    Target::new("path", path, path_seeds),
    Target::new("ignore_file", ignore_file, ignore_file_seeds).within(4096, COMPILED),
    Target::new("patterns", patterns, patterns_seeds).within(4096, COMPILED),
    Target::new("path_list", path_list, path_list_seeds),
    Target::new("passwd", passwd, passwd_seeds),
    Target::new("words", words, words_seeds),
];

/// Bytes as a path, and the text that is shown of it.
fn path(bytes: &[u8]) -> bool {
    let shown = printable(bytes);
    let wild = |c: char| c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}');
    assert!(!shown.contains(wild), "nothing drives a terminal: {shown:?}");
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(path) = parse_path(text) {
            assert!(path.components().all(|c| c != b".." && c != b"."));
        }
        assert!(TreePath::of_shown(text).len() <= 2);
    }
    let Ok(path) = TreePath::new(bytes) else { return false };
    assert!(path.components().all(|c| !matches!(c, b"" | b"." | b"..") && !c.contains(&b'/')));
    assert_eq!(path.components().collect::<Vec<_>>().join(&b'/'), bytes);
    if !bytes.contains(&b'\\') {
        assert!(TreePath::of_shown(&path.to_string()).contains(&path), "what is shown leads back");
    }
    if let Some(parent) = path.parent() {
        assert_eq!(parent.join(path.name()).unwrap(), path);
        assert!(parent < path && path.strip(&parent) == Some(path.name()));
        assert_eq!(path.common(&parent), parent);
    }
    true
}

fn path_seeds() -> Vec<Vec<u8>> {
    vec![b"home/me/a b".to_vec(), b"new\nline\xff".to_vec(), "\u{202e}x/\u{7f}".into(), b"a\\x1bb".to_vec()]
}

const PATHS: [&[u8]; 5] = [b"a", b"a/b.txt", b"deep/er/node_modules/x", b"\xff\n", b"A{b}/[c]"];

/// An ignore file and options: what fits, fits by one of their lines.
fn ignore_file(bytes: &[u8]) -> bool {
    let mut file = RulesBuilder::relative();
    file.add_file("file", bytes, false).unwrap();
    let mut option = RulesBuilder::with_absolute();
    let strict = option.add_file("option", bytes, true).is_ok();
    for rules in [file, option] {
        let Ok(rules) = rules.build() else { return false };
        for path in PATHS {
            rules.decide(path, path, true);
            rules.decide(path, path, false);
        }
    }
    strict
}

fn ignore_file_seeds() -> Vec<Vec<u8>> {
    vec![
        b"# comment\n*.txt\n!b.txt\r\n/a\nnode_modules/\n**/x\n\\#a\n".to_vec(),
        b"{b}\n[[:alpha:]]\n[!a-c]?\n".to_vec(),
    ]
}

/// Patterns of a search, separated by line ends.
fn patterns(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut any = false;
    for case in [Case::Sensitive, Case::Insensitive] {
        let Ok(patterns) = Patterns::new(text.split('\n'), case) else { continue };
        any = true;
        for path in PATHS.iter().filter_map(|p| TreePath::new(*p).ok()) {
            patterns.covers(&path);
        }
    }
    any
}

fn patterns_seeds() -> Vec<Vec<u8>> {
    vec![b"*.json\n!a/*".to_vec(), b"#x\n{a,b}".to_vec(), b"**/a[0-9]".to_vec()]
}

fn path_list(bytes: &[u8]) -> bool {
    let lines = read_path_list(bytes, "list", b'\n').unwrap();
    let nul = read_path_list(bytes, "list", 0).unwrap();
    assert!(lines.iter().all(|p| !p.as_os_str().is_empty() && !p.as_os_str().as_bytes().contains(&b'\n')));
    assert!(nul.iter().all(|p| !p.as_os_str().as_bytes().contains(&0)));
    !lines.is_empty()
}

fn path_list_seeds() -> Vec<Vec<u8>> {
    vec![b"/a b\n\n./c\r\n/d".to_vec(), b"/a\0b\0".to_vec()]
}

fn passwd(bytes: &[u8]) -> bool {
    let found = names::parse(&String::from_utf8_lossy(bytes));
    assert!(found.values().all(|name| !name.is_empty() && !name.contains(':')));
    !found.is_empty()
}

fn passwd_seeds() -> Vec<Vec<u8>> {
    vec![b"root:x:0:0:root:/root:/bin/sh\n+::::\n#a:x:1:\nme:x:4294967295:1::".to_vec()]
}

/// Short words of the command line.
fn words(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let within = text.parse::<Within>();
    if let Ok(within) = &within {
        assert_eq!(
            within.to_string().parse::<Within>().as_ref().ok(),
            Some(within),
            "what is shown reads back"
        );
    }
    let others = [
        text.parse::<Count>().is_ok(),
        text.parse::<Strategy>().is_ok(),
        text.parse::<Overwrite>().is_ok(),
        text.parse::<ExportFormat>().is_ok(),
        check_target(text).is_ok(),
        check_name("name", text).is_ok_and(|()| text.starts_with("name ")),
        Tag::parse(text).is_ok_and(|tag| !tag.header.is_empty()),
    ];
    within.is_ok() || others.contains(&true)
}

fn words_seeds() -> Vec<Vec<u8>> {
    [
        "1y5m7d2h",
        "9999h",
        "unlimited",
        "12",
        "new-location",
        "if_newer",
        "zip",
        "files",
        "CACHEDIR.TAG:Sig",
        "name x",
    ]
    .map(|t| t.as_bytes().to_vec())
    .to_vec()
}
