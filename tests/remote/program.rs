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

/// What a command costs, in requests by method and area; claims on names are left out, since how many are tried depends on the clock.
fn cost(server: &S3Server, program: &Program, args: &[&str]) -> String {
    server.take_requests();
    program.run(args).expect_code(0);
    let mut counts = BTreeMap::<String, u64>::new();
    for (method, _) in server.take_requests().into_iter().filter(|(_, key)| !key.contains("/name/")) {
        *counts.entry(method).or_default() += 1;
    }
    counts.into_iter().map(|(method, n)| format!("{n} {method}")).collect::<Vec<_>>().join(", ")
}

fn packs(server: &S3Server) -> usize {
    server.objects().content().keys().filter(|key| key.contains("/packs/")).count()
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
    let before = packs(&server);
    program.run(["prune"]).expect_code(0);
    assert!(server.objects().content().keys().all(|key| key.starts_with("backups/host/")));
    assert!(packs(&server) < before);
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
fn snapshots_are_copied_into_an_object_store_and_out_of_it() {
    let server = S3Server::new();
    let program = Program::at(&server.location("own"), &server.variables());
    let data = program.home().join("data");
    write(&data, 0..50);
    program.run(["init"]).expect_code(0);
    program.run(["backup", "data"]).expect_code(0);
    let other = server.location("other");
    program.run(["-r", "folder", "init"]).expect_code(0);
    program.run(["-r", &other, "init"]).expect_code(0);
    program.run(["copy", "latest", "folder"]).expect_code(0);
    program.run(["-r", "folder", "copy", "latest", &other]).expect_code(0);
    server.take_requests();
    program.run(["-r", "folder", "copy", "latest", &other]).expect_code(0);
    let written: Vec<_> = server.take_requests().into_iter().filter(|(method, _)| method == "PUT").collect();
    assert_eq!(written, []);
    program.run(["-r", &other, "check", "--read-data"]).expect_code(0);
    program.run(["-r", &other, "restore", "latest", "--to", "back"]).expect_code(0);
    let shown = program.home().join("back").join(data.strip_prefix("/").unwrap());
    assert_eq!(differences(&data, &shown), [""; 0]);
}

#[test]
fn requests_of_daily_work() {
    let server = S3Server::new();
    let program = Program::at(&server.location("r"), &server.variables());
    let data = program.home().join("data");
    write(&data, 0..300);
    let cost = |args: &[&str]| cost(&server, &program, args);
    let mut costs = vec![cost(&["init"]), cost(&["backup", "data"]), cost(&["backup", "data"])];
    for end in [301, 302] {
        write(&data, 290..end);
        costs.push(cost(&["backup", "data"]));
    }
    let more: [&[&str]; 5] = [
        &["snapshots"],
        &["restore", "latest", "--to", "back"],
        &["forget", "--keep-last", "1"],
        &["prune"],
        &["prune"],
    ];
    costs.extend(more.map(cost));
    let expected = [
        // All but 2 PUT, 4 GET or HEAD and 4 LIST are of the probe: 148 creates, of which 13 succeed and are removed.
        "13 DELETE, 19 GET, 4 HEAD, 10 LIST, 150 PUT",
        "1 DELETE, 4 GET, 1 HEAD, 5 LIST, 3 PUT",
        // Nothing changed.
        "1 DELETE, 4 GET, 1 HEAD, 6 LIST, 2 PUT",
        // A few files did.
        "1 DELETE, 4 GET, 1 HEAD, 6 LIST, 3 PUT",
        "1 DELETE, 4 GET, 1 HEAD, 6 LIST, 3 PUT",
        "2 GET, 1 HEAD, 3 LIST",
        // Nothing of what this machine has written is fetched.
        "2 GET, 4 HEAD, 5 LIST",
        "2 GET, 1 HEAD, 6 LIST, 2 PUT",
        "3 DELETE, 5 GET, 1 HEAD, 51 LIST, 7 PUT",
        // Nothing to do.
        "1 DELETE, 3 GET, 1 HEAD, 26 LIST",
    ];
    assert_eq!(costs, expected);
}

#[test]
fn damage_in_the_store_is_found_although_this_host_has_copies() {
    let server = S3Server::new();
    for area in ["/packs/", "/snap/"] {
        let program = Program::at(&server.location("r"), &server.variables());
        server.objects().content().clear();
        write(&program.home().join("data"), 0..20);
        program.run(["init"]).expect_code(0);
        program.run(["backup", "data"]).expect_code(0);
        for (key, bytes) in server.objects().content().iter_mut().filter(|(key, _)| key.contains(area)) {
            let mut damaged = bytes.to_vec();
            // In the middle of what every object has: its content.
            let middle = damaged.len() / 2;
            damaged[middle] ^= 1;
            *bytes = damaged.into();
            assert!(key.starts_with("r/"));
        }
        program.run(["verify", "latest"]).expect_code(4);
        program.run(["check", "--read-data"]).expect_code(4);
    }
}
