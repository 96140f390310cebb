//! Archives, there whole or not at all; and files found in many snapshots.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::Home;

#[test]
fn an_archive_replaces_only_by_force_and_leaves_nothing_else() {
    let home = Home::with_snapshot();
    home.file("out/x.tar", b"mine");
    home.run(["export", "latest", "-o", "out/x.tar"]).code(1).says("was not touched");
    assert_eq!(fs::read(home.path("out/x.tar")).unwrap(), b"mine");
    home.run(["export", "latest", "-o", "out/x.tar", "--force"]).code(0);
    assert!(fs::read(home.path("out/x.tar")).unwrap().len() > 512);
    assert_eq!(fs::metadata(home.path("out/x.tar")).unwrap().permissions().mode() & 0o777, 0o600);
    home.run(["export", "latest", "-o", "out", "--force"]).code(2).says("is a folder");
    home.run(["export", "latest:no/such/path", "-o", "out/y.tar"]).code(1);
    assert_eq!(fs::read_dir(home.path("out")).unwrap().count(), 1);
}

#[test]
fn a_file_is_found_in_the_snapshots_that_have_it() {
    let home = Home::with_snapshot();
    home.file("other/a.txt", b"elsewhere");
    home.run(["backup", "other", "--target", "other"]).code(0);
    home.file("data/a.txt", b"changed since\n");
    home.run(["backup", "data"]).code(0);
    let found = home.run(["find", "a.txt", "b.json", "--json"]).code(0).json();
    assert_eq!(found["snapshots_searched"], 3);
    let matches = found["matches"].as_array().unwrap();
    let counts: Vec<usize> = matches.iter().map(|m| m["snapshots"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [1, 1, 2, 1], "{found}");
    let newest = home.snapshots();
    let both = matches[2]["snapshots"].as_array().unwrap();
    assert_eq!((&both[0], &both[1]), (&newest[2].as_str().into(), &newest[0].as_str().into()));
}

#[test]
fn a_level_that_a_format_does_not_have_is_refused() {
    let home = Home::with_snapshot();
    for (file, level, code) in
        [("a.zip", "10", 2), ("a.tar.zst", "0", 2), ("a.tar", "1", 2), ("b.zip", "9", 0)]
    {
        home.run(["export", "latest", "-o", file, "--compression", level]).code(code);
        assert_eq!(home.path(file).exists(), code == 0);
    }
    home.run(["export", "latest", "-o", "none/a.tar"]).code(1).says("there is no folder none");
}
