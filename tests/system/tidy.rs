//! House style as a test: file and function length, module headers, module order, paths named in docs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use chronos_tests::repository_root;

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
const FUNCTION_SHARE_OVER: f64 = 0.03;

/// Every file that git tracks or would track.
fn project_files(ending: &str) -> Vec<PathBuf> {
    let root = repository_root();
    let listed = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard"])
        .current_dir(&root)
        .output()
        .unwrap();
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).unwrap();
    let files: Vec<_> =
        names.lines().filter(|n| n.ends_with(ending)).map(|n| root.join(n)).filter(|p| p.exists()).collect();
    assert!(!files.is_empty(), "no {ending} file found");
    files
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn no_source_file_is_too_long() {
    let long: Vec<_> = project_files(".rs")
        .into_iter()
        .map(|p| (text(&p).lines().count(), p))
        .filter(|(lines, _)| *lines > FILE_LINES_MAX)
        .collect();
    assert!(long.is_empty(), "over {FILE_LINES_MAX} lines: {long:?}");
}

#[test]
fn every_module_says_what_it_is() {
    let silent: Vec<_> = project_files(".rs").into_iter().filter(|p| !text(p).starts_with("//! ")).collect();
    assert!(silent.is_empty(), "without a //! line at the top: {silent:?}");
}

#[test]
fn functions_stay_short() {
    let mut lengths = Vec::new();
    for path in project_files(".rs") {
        let mut open: Option<(usize, usize, String)> = None;
        for (number, line) in text(&path).lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let starts = ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "const fn ", "pub const fn "];
            if open.is_none()
                && starts.iter().any(|s| line.trim_start().starts_with(s))
                && !line.trim_end().ends_with(';')
            {
                open = Some((number, indent, line.trim().to_owned()));
            }
            if let Some((start, depth, name)) = &open
                && ((indent == *depth && line.trim_start().starts_with('}'))
                    || (number == *start && line.trim_end().ends_with('}')))
            {
                lengths.push((number + 1 - start, path.clone(), name.clone()));
                open = None;
            }
        }
    }
    let long: Vec<_> = lengths.iter().filter(|(lines, ..)| *lines > FUNCTION_LINES_MAX).collect();
    let share = long.len() as f64 / lengths.len() as f64;
    assert!(
        share <= FUNCTION_SHARE_OVER,
        "{} functions, over {FUNCTION_LINES_MAX} lines: {long:#?}",
        lengths.len()
    );
}

#[test]
fn nothing_is_ignored_or_left_open() {
    let marks = [
        concat!("#[", "ignore"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
    ];
    let mut found = Vec::new();
    for path in project_files(".rs") {
        for (number, line) in text(&path).lines().enumerate() {
            if marks.iter().any(|m| line.contains(m)) {
                found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// The one call into code for instructions that not every processor has (`docs/decisions/vector-cuts.md`).
#[test]
fn unsafe_code_is_one_call_in_one_crate() {
    let root = repository_root();
    let mut found = Vec::new();
    for path in project_files(".rs") {
        let uses = text(&path).matches(concat!("uns", "afe {")).count();
        found.extend((uses > 0).then(|| (path.strip_prefix(&root).unwrap().display().to_string(), uses)));
    }
    assert_eq!(found, [("gear/src/vbmi.rs".to_owned(), 1)]);
    let packages =
        project_files("Cargo.toml").into_iter().filter(|p| !p.starts_with(root.join("fuzz/libfuzzer")));
    for path in packages.filter(|p| *p != root.join("Cargo.toml") && *p != root.join("gear/Cargo.toml")) {
        assert!(text(&path).contains("[lints]\nworkspace = true"), "{}: lints of its own", path.display());
    }
}

/// The libraries that touch the disk are few and known (`docs/style.md`).
#[test]
fn crates_depend_in_one_direction() {
    let order = ["gear", "store", "remote", "snapshot", "connect", "server", "cli"];
    for (rank, name) in order.iter().enumerate() {
        let manifest = text(&repository_root().join(name).join("Cargo.toml"));
        for above in &order[rank..] {
            let dependency = format!("chronos-{above}");
            let depends = manifest.lines().any(|l| {
                l.starts_with(&format!("{dependency}.")) || l.starts_with(&format!("{dependency} "))
            });
            assert!(!depends, "{name} depends on {dependency}");
        }
    }
}

#[test]
fn paths_named_in_the_docs_exist() {
    let root = repository_root();
    let mut gone = Vec::new();
    for doc in project_files(".md") {
        for word in text(&doc).split('`').skip(1).step_by(2) {
            let named = [
                "store/",
                "snapshot/",
                "server/",
                "cli/",
                "tests/",
                "docs/",
                "scripts/",
                "benches/",
                "model/",
                "fuzz/",
            ]
            .iter()
            .any(|p| word.starts_with(p));
            let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
            if named && plain && !root.join(word).exists() {
                gone.push(format!("{}: {word}", doc.display()));
            }
        }
    }
    assert!(gone.is_empty(), "{gone:#?}");
}
