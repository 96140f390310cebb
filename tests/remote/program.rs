//! The program with its repository in an object store.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use chronos_tests::compare::differences;
use chronos_tests::{Program, S3Server};

fn write(folder: &Path, names: std::ops::Range<usize>) {
    for n in names {
        let place = folder.join(format!("{}", n % 7));
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join(format!("{n}.txt")), format!("file {n}\n").repeat(n * 10)).unwrap();
    }
}

/// What a command costs, in requests.
fn cost(server: &S3Server, program: &Program, args: &[&str]) -> BTreeMap<String, u64> {
    server.take_counts();
    program.run(args).expect_code(0);
    server.take_counts()
}

#[test]
fn a_repository_in_an_object_store_does_all_that_one_in_a_folder_does() {
    let server = S3Server::new();
    let program = Program::at(&server.location("backups/host"), &server.variables());
    let data = program.home().join("data");
    write(&data, 0..200);
    program.run(["init"]).expect_code(0);
    program.run(["backup", "data"]).expect_code(0);
    write(&data, 150..260);
    let second = program.run(["backup", "data", "--json"]).expect_code(0).json();
    assert_eq!(second["files_unmodified"], 150, "{second}");
    program.run(["verify", "latest"]).expect_code(0);
    program.run(["restore", "latest", "--to", "back"]).expect_code(0);
    let shown = program.home().join("back").join(data.strip_prefix("/").unwrap());
    assert_eq!(differences(&data, &shown), [""; 0]);
    fs::remove_dir_all(&data).unwrap();
    write(&data, 0..5);
    program.run(["backup", "data"]).expect_code(0);
    program.run(["forget", "--keep-last", "1"]).expect_code(0);
    let before = server.objects().content().len();
    program.run(["prune"]).expect_code(0);
    assert!(server.objects().content().keys().all(|key| key.starts_with("backups/host/")));
    assert!(server.objects().content().len() < before);
    program.run(["check", "--read-data"]).expect_code(0);
    // Another machine, with the key alone.
    let keys = program.home().join(".config/chronos/keys");
    let other = Program::at(&server.location("backups/host"), &server.variables());
    fs::create_dir_all(other.home().join(".config/chronos")).unwrap();
    fs::rename(keys, other.home().join(".config/chronos/keys")).unwrap();
    other.run(["restore", "latest", "--to", "back"]).expect_code(0);
    let shown = other.home().join("back").join(data.strip_prefix("/").unwrap());
    assert_eq!(differences(&data, &shown), [""; 0]);
}

#[test]
fn requests_of_daily_work() {
    let server = S3Server::new();
    let program = Program::at(&server.location("r"), &server.variables());
    let data = program.home().join("data");
    write(&data, 0..300);
    let mut costs = vec![("init", cost(&server, &program, &["init"]))];
    costs.push(("first", cost(&server, &program, &["backup", "data"])));
    costs.push(("unchanged", cost(&server, &program, &["backup", "data"])));
    write(&data, 290..301);
    costs.push(("hourly", cost(&server, &program, &["backup", "data"])));
    write(&data, 295..302);
    costs.push(("hourly", cost(&server, &program, &["backup", "data"])));
    costs.push(("snapshots", cost(&server, &program, &["snapshots"])));
    costs.push(("restore", cost(&server, &program, &["restore", "latest", "--to", "back"])));
    costs.push(("forget", cost(&server, &program, &["forget", "--keep-last", "1"])));
    costs.push(("prune", cost(&server, &program, &["prune"])));
    costs.push(("check", cost(&server, &program, &["check"])));
    for (what, cost) in &costs {
        eprintln!("{what}: {cost:?}");
    }
}
