//! Files with several names.

use std::fs;

use super::{Stage, assert_whole, newest, nodes, noise};

#[test]
fn a_file_with_several_names_is_read_once() {
    let stage = Stage::new();
    stage.write("a", noise(1, 300_000));
    fs::hard_link(stage.path("a"), stage.path("b")).unwrap();
    fs::create_dir(stage.path("c")).unwrap();
    fs::hard_link(stage.path("a"), stage.path("c/d")).unwrap();
    let report = stage.run();
    assert_eq!((report.files_new, report.bytes_read, report.bytes_processed), (3, 300_000, 900_000));
    let repository = stage.open();
    let found = nodes(&repository, &newest(&repository));
    let node = |n: &str| &found[&stage.inside(n)];
    assert_eq!(node("a"), node("b"));
    assert_eq!(node("a"), node("c/d"));
    assert!(node("a").links == 3 && node("a").inode != 0 && node("a").dev != 0);
    assert_whole(&stage);
}

#[test]
fn a_later_name_is_read_when_the_first_one_is_gone() {
    let stage = Stage::new();
    stage.write("a", "content");
    fs::hard_link(stage.path("a"), stage.path("b")).unwrap();
    let gone = stage.path("a");
    let sources = super::content::meddling(&stage, "a", move || fs::remove_file(&gone).unwrap());
    let report = crate::backup(&stage.open(), sources, &crate::BackupOptions::default()).unwrap();
    assert_eq!((report.files_new, report.error_count), (1, 0));
    assert_whole(&stage);
}
