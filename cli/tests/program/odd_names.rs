//! Names that are no text, and what people type to get at them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use crate::support::Home;

#[test]
fn what_is_listed_can_be_typed() {
    let home = Home::new();
    fs::create_dir(home.path("data")).unwrap();
    for name in [&b"new\nline"[..], b"bad\xffname", b"esc\x1b[31m", b"back\\nslash"] {
        fs::write(home.path("data").join(OsStr::from_bytes(name)), name).unwrap();
    }
    home.run(["backup", "data"]).code(0);
    let inside = home.inside("data");
    let listed = home.run(["ls", &format!("latest:{inside}")]).code(0).stdout;
    assert_eq!(listed.lines().count(), 4);
    assert!(!listed.contains('\x1b'), "{listed}");
    for path in listed.lines() {
        home.run(["cat", &format!("latest:{path}")]).code(0);
        home.run(["versions", &format!("/{path}")]).code(0);
    }
    let raw = [b"latest:", inside.as_bytes(), b"/bad\xffname"].concat();
    home.run([OsStr::new("ls"), OsStr::from_bytes(&raw)]).code(0);
    home.run(["ls", &format!("latest:{inside}/esc\x1b[31mm")]).code(1).says("\\u{1b}[31mm is not in");
}

#[test]
fn roots_with_odd_names_are_compared_and_replaced() {
    let home = Home::new();
    let root = home.path("").join(OsStr::from_bytes(b"od\xffd\nroot"));
    fs::create_dir(&root).unwrap();
    fs::write(root.join("file"), b"first").unwrap();
    home.run([OsStr::new("backup"), root.as_os_str()]).code(0);
    home.run(["diff", "latest", "live"]).code(0);
    fs::write(root.join("file"), b"second").unwrap();
    fs::write(root.join("extra"), b"extra").unwrap();
    let differences = home.run(["diff", "latest", "live", "--json"]).code(0).json();
    assert_eq!(differences["added"].as_array().unwrap().len(), 1, "{differences}");
    home.run(["restore", "latest", "--strategy", "replace"]).code(0);
    assert_eq!(fs::read(root.join("file")).unwrap(), b"first");
    assert!(!root.join("extra").exists());
    fs::remove_dir_all(&root).unwrap();
    let differences = home.run(["diff", "latest", "live", "--json"]).code(0).json();
    assert_eq!(differences["removed"].as_array().unwrap().len(), 2, "{differences}");
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    let home = Home::with_snapshot();
    home.run(["ls", "latset"]).code(1).says("did you mean latest?");
    let id = home.snapshots().remove(0);
    home.run(["ls", &id[..id.len() - 1]]).code(1).says(&format!("did you mean {id}?"));
}
