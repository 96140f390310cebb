//! Ignore files mean what they mean to git: compared with `git check-ignore`, pattern by pattern.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{paths, write};
use crate::source::FileOptions;

const PATHS: &[&str] = &[
    "a",
    "b.txt",
    "foo/bar",
    "foo/bar2",
    "foo/baz/deep/x.log",
    "x.log",
    "important.log",
    "build/out.o",
    "src/build/out.o",
    "src/main.c",
    "src/main.o",
    "doc/a.txt",
    "doc/sub/b.txt",
    "doc/sub/deep/c.txt",
    "sp ace",
    "trail ",
    "#hash",
    "!bang",
    "a{b,c}d",
    "abd",
    "q?x",
    "qax",
    "star*",
    "starry",
    "[x]",
    "x",
    "back\\slash",
    ".hidden/f",
    ".hidden/.g",
    "UPPER.TXT",
    "lib/foo/bar",
    "deep/foo/bar/baz",
    "tmp/keep/me",
    "tmp/not/me",
    "z/a/b",
    "z/x/y/b",
    "z/b",
    "a1",
    "a5",
    "aé",
];

const RULES: &[&str] = &[
    "*.log",
    "*.log\n!important.log",
    "/foo",
    "foo/",
    "foo/bar",
    "/foo/bar",
    "foo/*",
    "foo/**",
    "**/foo",
    "**/foo/bar",
    "build",
    "/build",
    "build/",
    "*.o\n!main.o",
    "src/*.o",
    "src/**/*.o",
    "doc/*.txt",
    "doc/**/*.txt",
    "doc/**",
    "sp ace",
    "sp\\ ace",
    "trail ",
    "trail\\ ",
    "\\#hash",
    "#hash",
    "\\!bang",
    "!bang",
    "a{b,c}d",
    "q?x",
    "q\\?x",
    "star\\*",
    "star*",
    "[x]",
    "\\[x\\]",
    "[a-c]",
    "[!a]",
    "[^x]",
    "back\\\\slash",
    ".*",
    ".hidden",
    ".hidden/*",
    ".hidden/*\n!.hidden/f",
    "*.txt",
    "*.TXT",
    "*",
    "*\n!*/\n!*.c",
    "/*\n!/src",
    "tmp/*\n!tmp/keep",
    "z/**/b",
    "z/*/b",
    "**",
    "/**",
    "a/**/b",
    "a[0-4]",
    "a?",
    "",
    "   ",
    "\n\n# c\n*.c\n",
    "foo/bar/",
    "x.log/",
    "**/bar",
    "bar/**",
    "deep/**/baz",
    "*/foo",
    "*/foo/bar",
    "foo\n!foo/bar",
    "*.log\r\na\r\n",
    "f*o",
    "**/*.log",
    "!*.log\n*.log",
];

fn git(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(dir)
        .args(args)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", dir)
        .stderr(Stdio::null());
    command
}

/// The files that git does not ignore.
fn kept_by_git(dir: &Path) -> BTreeSet<String> {
    let output = git(dir, &["ls-files", "-z", "--others", "--exclude-standard"]).output().unwrap();
    let list = output.stdout.split(|b| *b == 0).filter(|n| !n.is_empty());
    list.map(crate::printable).collect()
}

fn kept_by_us(dir: &Path) -> BTreeSet<String> {
    let options = FileOptions {
        ignore_files: vec![".gitignore".to_owned()],
        excludes: vec!["/.git".to_owned()],
        ..FileOptions::default()
    };
    let is_file = |p: &String| dir.join(p).symlink_metadata().is_ok_and(|m| !m.is_dir());
    paths(dir, options).into_iter().filter(is_file).collect()
}

fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    assert!(git(dir.path(), &["init", "-q"]).status().unwrap().success());
    for path in PATHS.iter().filter(|p| !(p.starts_with("a/") || **p == "x")) {
        write(dir.path(), path, "1");
    }
    dir
}

#[test]
fn each_pattern_leaves_out_what_git_ignores() {
    let dir = tree();
    let mut wrong = Vec::new();
    for rules in RULES {
        write(dir.path(), ".gitignore", rules);
        let (git, ours) = (kept_by_git(dir.path()), kept_by_us(dir.path()));
        if git != ours {
            wrong.push((rules, git.symmetric_difference(&ours).cloned().collect::<Vec<_>>()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nested_ignore_files_override_those_above() {
    let dir = tree();
    write(dir.path(), ".gitignore", "*.txt\n*.o\n/tmp/not\n");
    write(dir.path(), "doc/.gitignore", "!*.txt\nsub/deep\n");
    write(dir.path(), "doc/sub/.gitignore", "/b.txt\n");
    write(dir.path(), "src/.gitignore", "/build\n!main.o\n");
    write(dir.path(), "tmp/not/.gitignore", "!me\n");
    let kept = kept_by_us(dir.path());
    assert_eq!(kept, kept_by_git(dir.path()));
    assert!(kept.contains("doc/a.txt") && kept.contains("src/main.o") && !kept.contains("tmp/not/me"));
}
