//! Backup and restore of real trees: what comes back is what was there, entry by entry.

use std::fs;
use std::path::Path;

use chronos_tests::compare::differences;
use chronos_tests::{Program, fixture, special_tree};

/// Backs `tree` up, restores it elsewhere and compares everything.
fn round_trip(tree: &Path) {
    let program = Program::with_repository();
    program.run([Path::new("backup"), tree]).expect_code(0);
    let out = program.home().join("out");
    program.run([Path::new("restore"), Path::new("latest"), Path::new("--to"), &out]).expect_code(0);
    let restored = out.join(tree.strip_prefix("/").unwrap());
    let found = differences(tree, &restored);
    assert!(found.is_empty(), "{} differences: {:#?}", found.len(), &found[..found.len().min(20)]);
}

#[test]
fn a_debian_source_package_comes_back() {
    round_trip(&fixture("source-tree").canonicalize().unwrap());
}

#[test]
fn usr_share_comes_back() {
    round_trip(Path::new("/usr/share"));
}

#[test]
fn one_of_everything_comes_back() {
    let scratch = tempfile::tempdir().unwrap();
    let tree = scratch.path().canonicalize().unwrap().join("tree");
    fs::create_dir(&tree).unwrap();
    special_tree(&tree);
    round_trip(&tree);
}

#[test]
fn a_part_goes_directly_into_the_folder() {
    let scratch = tempfile::tempdir().unwrap();
    let tree = scratch.path().canonicalize().unwrap();
    fs::create_dir_all(tree.join("a/b")).unwrap();
    fs::write(tree.join("a/b/file"), "content").unwrap();
    let program = Program::with_repository();
    program.run([Path::new("backup"), &tree]).expect_code(0);
    let part = format!("latest:{}/a", tree.display());
    program.run(["restore", &part, "--to", "out"]).expect_code(0);
    assert_eq!(fs::read_to_string(program.home().join("out/b/file")).unwrap(), "content");
}
