//! Hosts that are reached by `ssh`: a real OpenSSH server on loopback.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, SystemTime};

use chronos_remote::{Location, OpenOptions, Variables, open};
use chronos_store::backend::conformance::{self, Handles};
use chronos_store::backend::{Backend, BackendExt, Durability, Upkeep};
use chronos_tests::compare::differences;
use chronos_tests::{Program, Sshd};
use rustix::process::{Pid, Signal, kill_process};

/// Whoever refuses more than one connection at a time.
const ONE_CONNECTION: &str = "[ $(wc -l <started) = 1 ] || { echo enough >&2; exit 255; }\nexec ssh \"$@\"";

/// A line that stops in the middle of an upload. What `ssh` answers by is not what it asks by: it makes both of them non-blocking.
const STALLED: &str = "{ stdbuf -o0 head -c 3000000; cat >/dev/null; } | ssh \"$@\" | cat";

fn place_by(location: &str, variables: Vec<(&'static str, String)>) -> Arc<dyn Backend> {
    let variables: Variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    open(&Location::parse(location).unwrap(), &OpenOptions { variables, ..OpenOptions::default() }).unwrap()
}

fn place(server: &Sshd, name: &str) -> Arc<dyn Backend> {
    place_by(&server.location(name), server.variables(&server.folder().join("ssh_config")))
}

fn conforms(server: &Sshd) {
    let count = Cell::new(0);
    let fresh = || -> Handles {
        count.set(count.get() + 1);
        let name = format!("new/{}", count.get());
        (place(server, &name), place(server, &name))
    };
    assert_eq!(conformance::run(&fresh), Ok(()));
}

#[test]
fn the_sftp_server_of_the_system_conforms() {
    conforms(&Sshd::new());
}

#[test]
fn a_server_that_has_no_links_and_no_fsync_conforms() {
    let denied = "Subsystem sftp internal-sftp\nForceCommand internal-sftp -P hardlink,fsync,limits,statvfs";
    let server = Sshd::with(denied);
    conforms(&server);
}

/// The requests of a call; closing is not waited for everywhere.
fn requests(server: &Sshd, call: impl FnOnce()) -> String {
    server.take_requests();
    call();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for request in server.take_requests().into_iter().filter(|r| r != "sent" && r != "close") {
        *counts.entry(request).or_default() += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|(request, n)| format!("{n} {request}")).collect();
    counts.join(", ")
}

#[test]
fn requests_of_each_call() {
    let server = Sshd::new();
    let place = place(&server, "r");
    let write = |name: &str, size: usize, durability| {
        requests(&server, || place.write_new(name, &vec![7; size], durability).unwrap())
    };
    place.write_new("packs/s/0", b"1", Durability::Now).unwrap();
    let mib = 1 << 20;
    assert_eq!(
        write("packs/s/1", mib, Durability::Deferred),
        "2 fsync, 1 hardlink, 2 open, 1 remove, 5 write"
    );
    assert_eq!(write("packs/s/2", 10, Durability::Relaxed), "1 hardlink, 1 open, 1 remove, 1 write");
    assert_eq!(requests(&server, || drop(place.read("packs/s/1", None).unwrap())), "1 open, 5 read, 1 stat");
    let part = requests(&server, || drop(place.read("packs/s/1", Some(5..10)).unwrap()));
    assert_eq!(part, "1 open, 1 read, 1 stat");
    assert_eq!(requests(&server, || assert_eq!(place.stat("packs/s/1").unwrap(), 1 << 20)), "1 stat");
    let listed = requests(&server, || assert_eq!(place.list_all("packs/").unwrap().len(), 3));
    assert_eq!(listed, "2 opendir, 4 readdir");
    assert_eq!(requests(&server, || place.remove("packs/s/1").unwrap()), "1 remove, 1 rmdir");
    place.sync().unwrap();
    assert_eq!(requests(&server, || place.sync().unwrap()), "2 open");
    place.write_new("log/0", b"1", Durability::Now).unwrap();
    place.write_new("snap/0", b"1", Durability::Now).unwrap();
    assert_eq!(requests(&server, || place.sync().unwrap()), "2 fsync, 2 open");
    assert_eq!(server.started().len(), 1, "calls that come one after the other need one connection");
}

#[test]
fn calls_at_the_same_time_share_a_few_connections() {
    let server = Sshd::new();
    let together = |place: &dyn Backend, round: usize| {
        let barrier = Barrier::new(16);
        thread::scope(|scope| {
            for n in 0..16 {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    let name = format!("packs/s{round}/{n}");
                    place.write_new(&name, &vec![7; 300_000], Durability::Deferred).unwrap();
                    assert_eq!(place.read(&name, None).unwrap().len(), 300_000);
                });
            }
        });
        assert_eq!(place.list_all(&format!("packs/s{round}/")).unwrap().len(), 16);
    };
    let many = place(&server, "r");
    (0..2).for_each(|round| together(&*many, round));
    assert_eq!(server.started().len(), 4);
    fs::write(server.folder().join("started"), "").unwrap();
    // Of a server that grants no more than one, that one is used, and no more are asked for.
    let one = place_by(&server.location("r"), server.instead_of_ssh("one", ONE_CONNECTION));
    one.stat("packs/s0/0").unwrap();
    (2..4).for_each(|round| together(&*one, round));
    assert!((2..=4).contains(&server.started().len()), "{:?}", server.started());
}

#[test]
fn a_connection_that_breaks_is_replaced_and_nothing_is_lost_or_doubled() {
    const KILLED: usize = 5;
    let server = Sshd::new();
    let place = place(&server, "r");
    place.write_new("config", b"1", Durability::Now).unwrap();
    let is_over = AtomicBool::new(false);
    let content = |name: &str| name.repeat(40_000).into_bytes();
    let mut written: Vec<String> = thread::scope(|scope| {
        let writers: Vec<_> = (0..6)
            .map(|writer| {
                let (place, is_over) = (&place, &is_over);
                scope.spawn(move || {
                    let mut names = Vec::new();
                    while names.is_empty() || !is_over.load(Ordering::Relaxed) {
                        let name = format!("packs/s{writer}/{:05}", names.len());
                        place.write_new(&name, &content(&name), Durability::Deferred).unwrap();
                        assert!(place.read(&name, None).unwrap() == content(&name), "{name}");
                        names.push(name);
                    }
                    names
                })
            })
            .collect();
        for n in 0..KILLED {
            let victim = loop {
                if let Some(pid) = server.started().get(n) {
                    break *pid;
                }
                assert!(!writers.iter().any(thread::ScopedJoinHandle::is_finished), "a writer failed");
                thread::yield_now();
            };
            // It may have ended with a connection that another kill has broken.
            let _ = kill_process(Pid::from_raw(victim).unwrap(), Signal::KILL);
        }
        is_over.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    place.sync().unwrap();
    let listed: Vec<String> = place.list_all("packs/").unwrap().into_iter().map(|e| e.name).collect();
    written.sort_unstable();
    assert_eq!(listed, written);
    for name in &listed {
        assert!(place.read(name, None).unwrap() == content(name), "{name}");
    }
    // One that breaks while nobody calls is not noticed but by whoever counts.
    let last = *server.started().last().unwrap();
    let _ = kill_process(Pid::from_raw(last).unwrap(), Signal::KILL);
    place.sync().unwrap();
}

#[test]
fn what_ssh_says_is_told_and_not_tried_again() {
    let server = Sshd::new();
    let told = |config: &Path| {
        fs::write(server.folder().join("started"), "").unwrap();
        let place = place_by(&server.location("r"), server.variables(config));
        let told = place.stat("config").unwrap_err().to_string();
        assert_eq!(server.started().len(), 1, "{told}");
        assert!(told.starts_with(&place.location()), "{told}");
        told
    };
    let unknown = server.client("unknown", "UserKnownHostsFile /dev/null");
    assert!(told(&unknown).contains("Host key verification failed"), "{}", told(&unknown));
    fs::copy(server.folder().join("stranger.pub"), server.folder().join("authorized")).unwrap();
    let config = server.folder().join("ssh_config");
    assert!(told(&config).contains("Permission denied (publickey)"), "{}", told(&config));
    let absent = vec![("CHRONOS_SSH_COMMAND", "/nowhere/ssh -v".to_owned())];
    let told = place_by(&server.location("r"), absent).stat("config").unwrap_err().to_string();
    assert!(told.contains("\"/nowhere/ssh\"") && told.contains("apt install openssh-client"), "{told}");
    let silent = server.instead_of_ssh("silent", "echo Welcome to this host, which prints a lot");
    let told = place_by(&server.location("r"), silent).stat("config").unwrap_err().to_string();
    assert!(told.contains("print something at log-in"), "{told}");
}

#[test]
fn aliases_and_jump_hosts_of_the_configuration_hold() {
    let server = Sshd::new();
    let inner = format!("Host inner\n HostName 127.0.0.1\n Port {}\n ProxyJump storage", server.port());
    let location = server.location("r").replace("//storage/", "//inner/");
    let place = place_by(&location, server.variables(&server.client("jump", &inner)));
    place.write_new("config", b"1", Durability::Now).unwrap();
    assert_eq!(place.read("config", None).unwrap(), b"1");
    assert_eq!(server.log().matches("Accepted publickey").count(), 2, "{}", server.log());
}

#[test]
fn only_old_unfinished_files_are_leftovers() {
    let server = Sshd::new();
    let place = place(&server, "r");
    place.write_new("config", b"1", Durability::Now).unwrap();
    let tmp = server.folder().join("r/.tmp");
    let old = SystemTime::now() - Duration::from_hours(48);
    for (name, is_old) in [("00000000000000aa", true), ("00000000000000bb", false), ("reserve", true)] {
        let file = fs::File::create(tmp.join(name)).unwrap();
        file.set_len(10).unwrap();
        if is_old {
            file.set_modified(old).unwrap();
        }
    }
    assert_eq!(place.maintain(Upkeep::RemoveLeftovers).unwrap(), 10);
    let mut left: Vec<_> = fs::read_dir(&tmp).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort_unstable();
    assert_eq!(left, ["00000000000000bb", "reserve"]);
    place.maintain(Upkeep::TakeOver("config")).unwrap();
    assert!(place.maintain(Upkeep::TakeOver("absent")).is_err());
}

fn write(folder: &Path, seed: u64, bytes: usize) {
    let mut content = vec![0; bytes];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut content);
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(format!("{seed}.bin")), content).unwrap();
}

fn restored(program: &Program, data: &Path, to: &str) {
    program.run(["restore", "latest", "--to", to]).expect_code(0);
    let shown = program.home().join(to).join(data.strip_prefix("/").unwrap());
    assert_eq!(differences(data, &shown), [""; 0]);
}

#[test]
fn a_client_that_is_killed_while_it_uploads_leaves_nothing_partial() {
    let server = Sshd::new();
    let (location, config) = (server.location("r"), server.folder().join("ssh_config"));
    let program = Program::at(&location, &server.variables(&config));
    program.run(["init"]).expect_code(0);
    let data = program.home().join("data");
    write(&data, 1, 40 << 20);
    let mut stalled =
        program.command(["backup", "data"]).envs(server.instead_of_ssh("stalled", STALLED)).spawn().unwrap();
    let is_written = |entry: fs::DirEntry| entry.metadata().is_ok_and(|meta| meta.len() > 1 << 20);
    while !fs::read_dir(server.folder().join("r/.tmp")).unwrap().flatten().any(is_written) {
        assert!(stalled.try_wait().unwrap().is_none(), "it was to upload");
        thread::yield_now();
    }
    stalled.kill().unwrap();
    stalled.wait().unwrap();
    program.run(["check", "--read-data"]).expect_code(0);
    let listed = program.run(["snapshots", "--json"]).expect_code(0).json();
    assert!(!listed.to_string().contains("backup_id"), "{listed}");
    program.run(["backup", "data"]).expect_code(0);
    restored(&program, &data, "back");
}

/// As `docs/operations.md` says: an account that can do nothing but SFTP, and sees nothing but its folder.
#[test]
fn the_program_does_all_with_an_account_that_is_locked_in() {
    let server = Sshd::with(
        "Subsystem sftp internal-sftp\nMatch User backup\n ChrootDirectory {place}/jail\n ForceCommand internal-sftp -u 0077\n \
         AllowTcpForwarding no\n X11Forwarding no\n PermitTTY no",
    );
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let account = passwd.lines().find(|line| line.starts_with("backup:")).unwrap();
    let number = account.split(':').nth(2).unwrap().parse().unwrap();
    fs::create_dir(server.folder().join("jail")).unwrap();
    server.folder_of("jail/chronos", number);
    let location = "sftp://backup@storage/chronos/host";
    let program = Program::at(location, &server.variables(&server.folder().join("ssh_config")));
    let data = program.home().join("data");
    write(&data, 1, 3 << 20);
    program.run(["-r", location, "init"]).expect_code(0);
    program.run(["backup", "data"]).expect_code(0);
    write(&data, 2, 2 << 20);
    program.run(["backup", "data"]).expect_code(0);
    restored(&program, &data, "first");
    fs::remove_file(data.join("1.bin")).unwrap();
    program.run(["backup", "data"]).expect_code(0);
    program.run(["forget", "--keep-last", "1"]).expect_code(0);
    program.run(["prune"]).expect_code(0);
    program.run(["check", "--read-data"]).expect_code(0);
    restored(&program, &data, "second");
    // The same repository in a folder of the server itself.
    let folder = server.folder().join("jail/chronos/host");
    assert!(folder.join("config").exists());
    program.run(["-r", folder.to_str().unwrap(), "check"]).expect_code(0);
    // What it has no right to is told as such.
    let other = program.run(["-r", "sftp://backup@storage/elsewhere", "init"]);
    assert!(other.code != 0 && other.stderr.contains("may not do that there"), "{}", other.stderr);
}
