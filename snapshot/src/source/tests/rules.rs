//! Options beyond patterns: tags, includes, modules, presets, and the explanation of each decision.

use super::{paths, write};
use crate::source::{FileOptions, FileSource, Preset, Reason, Tag};

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

#[test]
fn cache_folders_keep_their_tag_only() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# x");
    write(dir.path(), "a/big", "1");
    write(dir.path(), "b/CACHEDIR.TAG", "something else");
    write(dir.path(), "b/x", "1");
    write(dir.path(), "c/.nobackup", "");
    write(dir.path(), "c/x", "1");
    let options = FileOptions {
        exclude_caches: true,
        exclude_if_present: vec![Tag::parse(".nobackup").unwrap()],
        ..FileOptions::default()
    };
    let found = paths(dir.path(), options);
    assert_eq!(found, ["a", "a/CACHEDIR.TAG", "b", "b/CACHEDIR.TAG", "b/x", "c", "c/.nobackup"]);
    Tag::parse("a/b").unwrap_err();
    assert_eq!(Tag::parse("f:head:er").unwrap().header, b"head:er");
}

#[test]
fn includes_take_what_fits_and_the_folders_on_the_way() {
    let dir = tempfile::tempdir().unwrap();
    for path in ["src/a.rs", "src/deep/er/b.rs", "src/x.txt", "docs/y.txt", "docs/c.rs/inner", "empty/z"] {
        write(dir.path(), path, "1");
    }
    let found = paths(dir.path(), FileOptions { includes: strings(&["*.rs"]), ..FileOptions::default() });
    let expected = [
        "docs",
        "docs/c.rs",
        "docs/c.rs/inner",
        "src",
        "src/a.rs",
        "src/deep",
        "src/deep/er",
        "src/deep/er/b.rs",
    ];
    assert_eq!(found, expected);
    let all = paths(dir.path(), FileOptions { includes: strings(&["**/*"]), ..FileOptions::default() });
    assert_eq!(all, paths(dir.path(), FileOptions::default()));
    let both =
        FileOptions { includes: strings(&["*.rs"]), excludes: strings(&["deep"]), ..FileOptions::default() };
    assert!(!paths(dir.path(), both).iter().any(|p| p.contains("deep")));
}

#[test]
fn a_project_is_taken_without_its_by_products_and_by_modules() {
    let dir = tempfile::tempdir().unwrap();
    for path in
        ["core/a.py", "core/__pycache__/a.pyc", "web/b.py", "tool.py", ".git/HEAD", ".venv/x", "data/d"]
    {
        write(dir.path(), path, "1");
    }
    let project = FileOptions { preset: Some(Preset::Project), ..FileOptions::default() };
    assert_eq!(paths(dir.path(), project.clone()), ["core", "core/a.py", "tool.py", "web", "web/b.py"]);
    let some = FileOptions { modules: strings(&["core", "tool"]), ..project.clone() };
    assert_eq!(paths(dir.path(), some), ["core", "core/a.py", "tool.py"]);
    let back = FileOptions { excludes: strings(&["!/data"]), ..project };
    assert!(paths(dir.path(), back).contains(&"data/d".to_owned()));
}

#[test]
fn absolute_patterns_fit_the_file_system_and_each_root() {
    let dir = tempfile::tempdir().unwrap();
    for path in ["a/x", "a/b/x", "b/x"] {
        write(dir.path(), path, "1");
    }
    let absolute = format!("{}/a/b", dir.path().display());
    let options = |e: &[&str]| FileOptions { excludes: strings(e), ..FileOptions::default() };
    assert_eq!(paths(dir.path(), options(&[&absolute])), ["a", "a/x", "b", "b/x"]);
    assert_eq!(paths(dir.path(), options(&["/b"])), ["a", "a/b", "a/b/x", "a/x"]);
    let later = paths(dir.path(), options(&["b", &format!("!{absolute}")]));
    assert_eq!(later, ["a", "a/b", "a/b/x", "a/x"]);
    let error = FileSource::new(FileOptions { roots: vec![dir.path().to_owned()], ..options(&["a[z-b]"]) });
    assert!(error.is_err_and(|e| e.to_string().contains("--exclude:1")));
}

#[test]
fn the_rule_that_decided_is_named() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), ".gitignore", "# comment\n*.log\n!keep.log\n");
    write(dir.path(), "x.log", "1");
    write(dir.path(), "keep.log", "1");
    write(dir.path(), "plain", "1");
    write(dir.path(), "node_modules/a/b", "1");
    let options = FileOptions {
        roots: vec![dir.path().to_owned()],
        ignore_files: strings(&[".gitignore"]),
        excludes: strings(&["*.tmp", "node_modules/"]),
        ..FileOptions::default()
    };
    let source = FileSource::new(options).unwrap();
    let explain = |p: &str| source.explain(&dir.path().join(p)).unwrap();
    let of =
        |origin: String, line, pattern: &str| Reason::Pattern { origin, line, pattern: pattern.to_owned() };
    let file = format!("{}/.gitignore", dir.path().display());
    let found = explain("x.log");
    assert!(!found.included);
    assert_eq!(found.reason, of(file.clone(), 2, "*.log"));
    let found = explain("keep.log");
    assert!(found.included);
    assert_eq!(found.reason, of(file, 3, "!keep.log"));
    assert_eq!(explain("plain").reason, Reason::NoRule);
    let found = explain("node_modules/a/b");
    assert!(!found.included && found.decided_at.name() == b"node_modules");
    assert_eq!(found.reason, of("--exclude".to_owned(), 2, "node_modules/"));
    assert!(found.to_string().contains("left out: --exclude:2: node_modules/"), "{found}");
    let outside = source.explain(std::path::Path::new("/etc/passwd")).unwrap();
    assert_eq!(outside.reason, Reason::OutsideRoots);
}

#[test]
fn windows_into_the_kernel_are_not_entered() {
    let options = FileOptions { roots: vec!["/".into()], ..FileOptions::default() };
    let source = FileSource::new(options).unwrap();
    let found = source.explain(std::path::Path::new("/proc/self")).unwrap();
    assert!(!found.included, "{found}");
    assert_eq!(found.reason, Reason::KernelFileSystem);
    assert!(source.explain(std::path::Path::new("/proc")).unwrap().included);
}
