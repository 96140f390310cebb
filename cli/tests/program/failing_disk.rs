//! A disk that fails in the middle of a file: a loop device whose backing file ends early answers with real EIO.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Home, Mounted, noise};

const BLOCK: u64 = 4096;
const LEN: usize = 6 << 20;

/// An image of a file system that holds `folder`.
fn image(home: &Home, folder: &Path) -> PathBuf {
    let image = home.file("disk.img", b"");
    std::fs::File::options().write(true).open(&image).unwrap().set_len(32 << 20).unwrap();
    let status = Command::new("mkfs.ext4")
        .args(["-q", "-b", &BLOCK.to_string(), "-O", "^has_journal", "-d"])
        .args([folder, &image])
        .status();
    assert!(status.unwrap().success(), "mkfs.ext4 (Debian package e2fsprogs)");
    image
}

/// The numbers of the blocks in which a file of the image lies.
fn blocks(image: &Path, name: &str) -> Vec<u64> {
    let output =
        Command::new("debugfs").args(["-R", &format!("blocks /{name}")]).arg(image).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().map(|n| n.parse().unwrap()).collect()
}

/// Cuts the backing file off in the middle of `name`; tells what else lies behind the cut.
fn fail_in_the_middle_of(image: &Path, name: &str, others: &[&str]) {
    let mut found = blocks(image, name);
    found.sort_unstable();
    let cut = found[found.len() / 2];
    for other in others {
        assert!(blocks(image, other).iter().all(|b| *b < cut), "{other} lies behind the cut");
    }
    std::fs::File::options().write(true).open(image).unwrap().set_len(cut * BLOCK).unwrap();
}

#[test]
fn a_read_error_in_the_middle_of_a_file_is_named_and_the_rest_is_kept() {
    let home = Home::new();
    for n in 0..3 {
        home.file(&format!("from/good{n}"), &noise(n, 300_000));
    }
    home.file("from/zbroken", &noise(9, LEN));
    let image = image(&home, &home.path("from"));
    let whole = std::fs::read(&image).unwrap();
    let disk = home.path("disk");
    let mounted = Mounted::new(&["-o", "loop,ro", image.to_str().unwrap()], &disk);
    fail_in_the_middle_of(&image, "zbroken", &["good0", "good1", "good2"]);

    let ran = home.run(["backup", "disk", "--json"]).code(3);
    let report = ran.json();
    assert_eq!((&report["status"], &report["error_count"]), (&"partial".into(), &1.into()), "{report}");
    assert_eq!((&report["files_new"], report["errors"].as_array().unwrap().len()), (&3.into(), 1));
    assert_eq!(report["errors"][0]["path"], disk.join("zbroken").to_str().unwrap());
    assert!(report["errors"][0]["error"].as_str().unwrap().contains("Input/output error"), "{report}");
    assert!(report["bytes_read"].as_u64().unwrap() > 900_000, "the beginning of the file was readable");

    let ran = home.run(["backup", "disk"]).code(3).says("disk/zbroken: Input/output error");
    assert!(ran.stdout.contains("partial"), "{}", ran.stdout);
    let rows = home.run(["snapshots", "--json"]).code(0).json();
    assert_eq!((&rows[0]["status"], &rows[0]["file_count"]), (&"partial".into(), &3.into()));
    let part = format!("{}:{}", rows[0]["backup_id"].as_str().unwrap(), disk.display());
    let listing = home.run(["ls", &part]).code(0).stdout;
    assert!(listing.contains("good2") && !listing.contains("zbroken"), "{listing}");
    home.run(["restore", &part, "--to", "out"]).code(0);
    for n in 0..3 {
        assert!(std::fs::read(home.path(&format!("out/good{n}"))).unwrap() == noise(n, 300_000));
    }
    home.is_sound();

    // The disk is replaced: the next backup has everything.
    drop(mounted);
    std::fs::write(&image, whole).unwrap();
    let _mounted = Mounted::new(&["-o", "loop,ro", image.to_str().unwrap()], &disk);
    let report = home.run(["backup", "disk", "--json"]).code(0).json();
    assert_eq!((&report["status"], &report["files_new"]), (&"completed".into(), &1.into()), "{report}");
    home.run(["restore", &format!("latest:{}", disk.display()), "--to", "whole"]).code(0);
    assert!(std::fs::read(home.path("whole/zbroken")).unwrap() == noise(9, LEN));
}

#[test]
fn a_folder_that_cannot_be_listed_is_named_and_the_rest_is_kept() {
    let home = Home::new();
    home.file("from/good", b"good");
    // Enough names for a folder of many blocks.
    for n in 0..2000 {
        let name = home.path(&format!("from/zfolder/{n:04}-{}", "x".repeat(200)));
        std::fs::create_dir_all(name.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("y", name).unwrap();
    }
    let image = image(&home, &home.path("from"));
    let disk = home.path("disk");
    let _mounted = Mounted::new(&["-o", "loop,ro", image.to_str().unwrap()], &disk);
    fail_in_the_middle_of(&image, "zfolder", &["good"]);
    let ran = home.run(["backup", "disk", "--json"]).code(3);
    let report = ran.json();
    assert_eq!((&report["status"], &report["files_new"]), (&"partial".into(), &1.into()));
    assert_eq!(report["errors"][0]["path"], disk.join("zfolder").to_str().unwrap(), "{report}");
    assert!(report["errors"][0]["error"].as_str().unwrap().contains("Input/output error"), "{report}");
}
