//! Nothing that a repository holds drives a terminal or looks like a line of the program's own, neither as text nor in a
//! document.

use std::fs;

use chronos_store::Secret;
use serde_json::{Value, json};

use super::forge::{Entry, Extent, Forge, Kind, file, honest, of, open};
use crate::support::{Home, Ran};

/// What is put wherever there is room for text: colours, a title (OSC), a bell, 8-bit CSI, delete, a carriage return, turned
/// writing, a line of its own.
const EVIL: &str =
    "\u{1b}[31m\u{1b}]0;title\u{7}\u{9b}2J\u{7f}\r\u{202e}\u{2066}\u{200f}\nFORGED \u{8}\u{0b}\u{c}x";

/// The same where no line end or slash may be.
fn evil(n: usize) -> String {
    format!("{n}{EVIL}")
}

/// Whether a character could do something to a terminal.
fn is_harmful(c: char) -> bool {
    c != '\n' && c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[track_caller]
fn harmless(words: &[&str], ran: &Ran) {
    assert!([0, 1, 2, 3, 4].contains(&ran.code), "{words:?}: {ran:?}");
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!text.contains(is_harmful), "{words:?}: {text:?}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with("FORGED")), "{words:?}: {text:?}");
    }
    assert!(!ran.stderr.contains("panicked"), "{words:?}: {ran:?}");
}

/// Looks at everything with every command that shows something, as text and as a document.
fn look(home: &Home, id: &str, other: &str) {
    let typed = format!("{id}:{}", evil(1));
    let commands: &[&[&str]] = &[
        &["snapshots"],
        &["snapshots", "--deleted"],
        &["ls", "-lR", id],
        &["ls", &typed],
        &["ls", EVIL],
        &["find", "**"],
        &["find", EVIL],
        &["versions", &evil(1)],
        &["versions", "a"],
        &["diff", id, other],
        &["diff", other, id],
        &["diff", id, "live"],
        &["cat", id],
        &["stats"],
        &["doctor"],
        &["check", "--read-data"],
        &["verify", id, other],
        &["hold", id],
        &["release", id],
        &["tag", id, "--add", "more"],
        &["restore", id, "--dry-run", "-v"],
        &["restore", id, "--to", "in/all", "-v"],
        &["restore", id, "--to", "in/all", "--strategy", "overwrite", "-v"],
        &["export", id, "-o", "in/a.zip", "--force"],
        &["export", id, "-o", "in/a.tar", "--force"],
        &["rewrite", id, "--exclude", "**", "--dry-run"],
        &["rewrite", id, "--exclude", "1*"],
        &["forget", "--keep-last", "1", "--dry-run"],
        &["forget", "--target", EVIL, "--dry-run"],
        &["repair", "snapshots", "--dry-run"],
        &["repair", "index"],
        &["repair", "packs"],
        &["delete", other],
        &["undelete", other],
        &["delete", other],
        &["keys", "list"],
        &["prune"],
        &["backup", "data", "--parent", EVIL],
    ];
    fs::create_dir_all(home.path("in")).unwrap();
    for words in commands {
        for more in [&[][..], &["--json"], &["--progress", "json"]] {
            let words = [*words, more].concat();
            let ran = home.run(&words);
            harmless(&words, &ran);
            if more == ["--json"] {
                serde_json::from_str::<Value>(&ran.stdout)
                    .unwrap_or_else(|e| panic!("{words:?}: {e}: {ran:?}"));
            }
        }
    }
}

/// The content ids of the forged snapshots, newest first.
fn ids(home: &Home) -> Vec<String> {
    let rows = home.run(["snapshots", "--json"]).json();
    let forged = rows.as_array().unwrap().iter().filter(|row| row["metadata"]["forged"] == "yes");
    forged.map(|row| row["snapshot"].as_str().unwrap()[..20].to_owned()).collect()
}

fn entries(n: usize) -> Vec<Entry> {
    let mut entries = vec![
        of(evil(1), Kind::Dir),
        file(format!("{}/below", evil(1)), format!("content {n}").as_bytes()),
        of(evil(2), Kind::Symlink(EVIL.into())),
        of(evil(3), Kind::CharDevice(0x103)),
        // Its content is damaged: errors name it.
        of(evil(4), Kind::File(vec![Extent::Data(b"short".to_vec(), 9)])),
        file(b"5 \xff\xfe\x1b[2J not text".to_vec(), b"odd"),
    ];
    entries.truncate(6);
    entries
}

#[test]
fn names_and_texts_of_a_snapshot_are_shown_harmlessly() {
    let home = honest();
    for n in 0..2 {
        let forge = Forge::new(&home);
        let tree = forge.leaf(&entries(n), EVIL.as_bytes());
        forge.commit(
            tree,
            json!({
                "backup_id": evil(n), "name": EVIL, "target": EVIL, "tier": EVIL, "backup_type": EVIL, "host": EVIL, "user": EVIL,
                "created_at": if n == 0 { "2026-01-02T03:04:05Z" } else { EVIL }, "paths": [EVIL, format!("/{EVIL}")],
                "description": EVIL, "tags": [EVIL], "metadata": {"forged": "yes", (EVIL): EVIL}, "status": EVIL, "program": EVIL,
                "scope": if n == 0 { json!([]) } else { json!([EVIL]) },
                "sources": [{"name": EVIL, "kind": EVIL, "component": EVIL, "paths": [EVIL], "files": 1, "size": 1, "error": EVIL}],
                "errors": [{"path": EVIL, "error": EVIL}], "error_count": 1,
            }),
        );
    }
    let forged = ids(&home);
    assert_eq!(forged.len(), 2);
    look(&home, &forged[0], &forged[1]);
}

#[test]
fn manifests_that_cannot_be_read_and_labels_of_keys_are_shown_harmlessly() {
    let home = honest();
    open(&home).add_key(&Secret::Key([5; 32]), EVIL).unwrap();
    let good = home.snapshots().remove(0);
    for fields in
        [json!({"v": 2}), json!({"files": EVIL}), json!({"tree": EVIL}), json!({(EVIL): 1, "dirs": []})]
    {
        let forge = Forge::new(&home);
        let tree = forge.leaf(&entries(0), EVIL.as_bytes());
        forge.commit(tree, fields);
    }
    let ran = home.run(["snapshots"]).code(4);
    assert!(ran.stderr.contains("needs a newer chronos: manifest version 2"), "{ran:?}");
    look(&home, &good, EVIL);
    home.run(["restore", &good, "--to", "in/good"]).code(4);
    assert_eq!(fs::read(home.path("in/good").join(home.inside("data/a.txt"))).unwrap(), b"first\n");
}

#[test]
fn files_beside_the_objects_are_shown_harmlessly() {
    let home = honest();
    let name = EVIL.replace('/', "_");
    for folder in [
        "",
        "snap",
        "packs",
        "packs/0000000000-x-0000000000000000",
        "log",
        "index",
        "keys",
        "state",
        "sess",
        "name",
    ] {
        let folder = home.repository().join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(&name), EVIL).unwrap();
    }
    let id = home.run(["snapshots", "--json"]);
    harmless(&["snapshots", "--json"], &id);
    look(&home, "latest", "latest");
}
