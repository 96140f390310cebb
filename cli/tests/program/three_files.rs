//! A tree of three files, other ones in each turn, and a target that a restore of it replaces.

use std::path::Path;

use crate::support::{Home, noise};

/// Writes the files of a turn; one of them is always the same.
pub(crate) fn write(home: &Home, turn: usize, word: &str) {
    home.file("data/same", &noise(0, 30_000));
    home.file("data/other", format!("{word} {turn}").as_bytes());
    home.file("data/sub/noise", &noise(turn as u8, 10_000));
}

/// The files as they are now are those in `back`.
#[track_caller]
pub(crate) fn is_same(home: &Home, back: &Path) {
    for name in ["same", "other", "sub/noise"] {
        let [one, other] = [home.path("data"), back.to_owned()].map(|p| std::fs::read(p.join(name)).unwrap());
        assert!(one == other, "{name}");
    }
}

/// Lays a target anew, in which one file has another content and one is not in the snapshot.
pub(crate) fn lay_target(home: &Home) {
    if home.path("target").exists() {
        std::fs::remove_dir_all(home.path("target")).unwrap();
    }
    home.file("target/other", b"of today");
    home.file("target/extra/file", b"of today");
}

/// Restores `part` elsewhere, which first ends what was begun; then the target is all as it was laid, or all as in the
/// snapshot. Returns whether it is as it was laid.
#[track_caller]
pub(crate) fn is_old_or_new(home: &Home, part: &str, at: &str) -> bool {
    std::fs::remove_dir_all(home.path("elsewhere")).unwrap_or_default();
    home.run(["restore", part, "--to", "elsewhere"]).code(0);
    assert_eq!(std::fs::read_dir(home.path("elsewhere")).unwrap().count(), 3, "{at}");
    let names = std::fs::read_dir(home.path("target")).unwrap().count();
    let is_old = home.path("target/extra").exists();
    if is_old {
        assert_eq!(names, 2, "{at}");
        assert_eq!(std::fs::read(home.path("target/other")).unwrap(), b"of today");
        assert_eq!(std::fs::read(home.path("target/extra/file")).unwrap(), b"of today");
    } else {
        assert_eq!(names, 3, "{at}");
        is_same(home, &home.path("target"));
    }
    is_old
}
