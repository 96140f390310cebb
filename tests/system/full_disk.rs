//! A repository on a disk that is full: what is looked at is told all the same.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use chronos_tests::{Mounted, Program};

/// The greatest file below a folder.
fn greatest(folder: PathBuf) -> PathBuf {
    let files = walkdir(folder);
    files.into_iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap()
}

fn walkdir(folder: PathBuf) -> Vec<PathBuf> {
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walkdir(path) } else { vec![path] }).collect()
}

#[test]
fn a_check_tells_of_damage_that_it_has_no_room_to_note() {
    let program = Program::new();
    let disk = program.home().join("disk");
    let _mounted = Mounted::new(&["-t", "tmpfs", "-o", "size=4m", "tmpfs"], &disk);
    let repository = disk.join("repository");
    let run = |words: &[&str]| {
        let own = ["-r", repository.to_str().unwrap(), "--password-file", "password"];
        program.run([&own, words].concat())
    };
    std::fs::write(program.home().join("password"), "p").unwrap();
    std::fs::create_dir(program.home().join("data")).unwrap();
    std::fs::write(program.home().join("data/file"), vec![7; 100_000]).unwrap();
    run(&["init"]).expect_code(0);
    run(&["backup", "data"]).expect_code(0);
    let pack = OpenOptions::new().read(true).write(true).open(greatest(repository.join("packs"))).unwrap();
    let mut byte = [0];
    pack.read_exact_at(&mut byte, 200).unwrap();
    pack.write_all_at(&[byte[0] ^ 1], 200).unwrap();
    // Kept for what must be written even then.
    std::fs::remove_file(repository.join(".tmp/reserve")).unwrap();
    let mut filling = File::create(disk.join("filling")).unwrap();
    while filling.write_all(&[0; 4096]).is_ok() {}
    while filling.write_all(&[0]).is_ok() {}

    let told = run(&["check", "--read-data"]).expect_code(4);
    assert!(told.stdout.contains("packs/") && told.stderr.contains("not noted"), "{told:?}");
    drop(filling);
    std::fs::remove_file(disk.join("filling")).unwrap();
    run(&["check", "--read-data"]).expect_code(4);
    assert_eq!(run(&["snapshots", "--json"]).expect_code(0).json()[0]["status"], "corrupted");
}
