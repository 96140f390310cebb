//! Passwords asked for on a real pseudo-terminal: right, wrong, typed twice, interrupted, and never shown.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::support::Home;

/// The program with a terminal of its own as its input, output and controlling terminal.
struct Session {
    /// Where a person would sit.
    master: File,
    /// Kept open so that the terminal outlives the program.
    slave: File,
    child: Child,
    shown: String,
}

impl Session {
    fn start(home: &Home, args: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = File::options().read(true).write(true).open(path).unwrap();
        let end = || Stdio::from(OwnedFd::from(slave.try_clone().unwrap()));
        let child = home
            .command_under(&["setsid", "--ctty", "--wait"], args)
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        Self { master: master.into(), slave, child, shown: String::new() }
    }

    /// Waits until the terminal shows `question` last, then types.
    fn answer(&mut self, question: &str, keys: &str) {
        while !self.shown.ends_with(question) {
            let mut byte = [0];
            self.master.read_exact(&mut byte).unwrap();
            self.shown.push(char::from(byte[0]));
        }
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end; the exit code and everything the terminal showed.
    fn finish(mut self) -> (i32, String) {
        let code = self.child.wait().unwrap().code().unwrap();
        let modes = tcgetattr(&self.slave).unwrap().local_modes;
        assert!(
            modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG),
            "the terminal is left as {modes:?}"
        );
        drop(self.slave);
        let mut rest = Vec::new();
        // With the last opener of the other end gone the terminal answers with an error after its last byte.
        assert!(self.master.read_to_end(&mut rest).is_err());
        self.shown.push_str(&String::from_utf8(rest).unwrap());
        (code, self.shown)
    }
}

/// A home with a repository that only the password "right" opens.
fn locked() -> Home {
    let home = Home::new();
    home.file("password", b"right\n");
    home.run(["-r", "repo", "init", "--password-file", "password"]).code(0);
    home
}

#[test]
fn the_right_password_opens_and_is_not_shown() {
    let home = locked();
    let mut session = Session::start(&home, &["-r", "repo", "keys", "list"]);
    session.answer("repo: ", "right\n");
    let (code, shown) = session.finish();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("right") && shown.contains("first"), "{shown}");
}

#[test]
fn a_password_can_be_corrected_while_it_is_typed() {
    let home = locked();
    let mut session = Session::start(&home, &["-r", "repo", "keys", "list"]);
    // Ctrl-U begins again, backspace takes one character of several bytes away.
    session.answer("repo: ", "slip\u{15}righ\u{fc}\u{7f}t\r");
    let (code, shown) = session.finish();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("slip") && !shown.contains("righ"), "{shown}");
}

#[test]
fn a_wrong_password_ends_with_12_and_is_not_shown() {
    let home = locked();
    let mut session = Session::start(&home, &["-r", "repo", "snapshots"]);
    session.answer("repo: ", "mistaken\n");
    let (code, shown) = session.finish();
    assert_eq!(code, 12, "{shown}");
    assert!(shown.contains("wrong password") && !shown.contains("mistaken"), "{shown}");
}

#[test]
fn ctrl_c_at_the_question_ends_with_130_and_leaves_a_terminal_that_shows_what_is_typed() {
    let home = locked();
    let mut session = Session::start(&home, &["-r", "repo", "snapshots"]);
    session.answer("repo: ", "rig\u{3}");
    let (code, shown) = session.finish();
    assert_eq!(code, 130, "{shown}");
    assert!(!shown.contains("rig"), "{shown}");
}

#[test]
fn a_signal_at_the_question_ends_the_program() {
    let home = locked();
    for signal in ["-TERM", "-INT"] {
        let mut session = Session::start(&home, &["-r", "repo", "snapshots"]);
        session.answer("repo: ", "rig");
        let id = session.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        let (code, shown) = session.finish();
        assert_eq!(code, 130, "{shown}");
        assert!(!shown.contains("rig"), "{shown}");
    }
}

#[test]
fn a_terminal_that_goes_away_at_the_question_ends_the_program() {
    let home = locked();
    let mut session = Session::start(&home, &["-r", "repo", "snapshots"]);
    session.answer("repo: ", "rig");
    let Session { master, slave, mut child, .. } = session;
    drop((master, slave));
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_new_password_is_asked_for_twice() {
    let home = locked();
    let args = ["-r", "repo", "keys", "add", "--password-file", "password"];
    let mut session = Session::start(&home, &args);
    session.answer("New password: ", "second\n");
    session.answer("The same again: ", "secnod\n");
    let (code, shown) = session.finish();
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("differ") && !shown.contains("sec"), "{shown}");
    let mut session = Session::start(&home, &args);
    session.answer("New password: ", "second\n");
    session.answer("The same again: ", "second\n");
    let (code, shown) = session.finish();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("second"), "{shown}");
    let mut session = Session::start(&home, &["-r", "repo", "snapshots"]);
    session.answer("repo: ", "second\n");
    assert_eq!(session.finish().0, 0);
}

#[test]
fn the_password_of_a_new_repository_is_asked_for_twice() {
    let home = Home::new();
    let args = ["-r", "repo", "init", "--ask-password"];
    let mut session = Session::start(&home, &args);
    session.answer("Password of the new repository: ", "first\n");
    session.answer("The same again: ", "fisrt\n");
    let (code, shown) = session.finish();
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("differ") && !home.path("repo").exists(), "{shown}");
    let mut session = Session::start(&home, &args);
    session.answer("Password of the new repository: ", "secret\n");
    session.answer("The same again: ", "secret\n");
    let (code, shown) = session.finish();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("secret") && !shown.contains("Its key"), "{shown}");
    home.file("password", b"secret\n");
    home.run(["-r", "repo", "snapshots", "--password-file", "password"]).code(0);
    home.run(["-r", "other", "init", "--ask-password"]).code(2).says("no terminal");
    home.run(["-r", "other", "init", "--ask-password", "--password-file", "password"]).code(2);
}

#[test]
fn nobody_is_asked_when_the_input_is_no_terminal() {
    let home = locked();
    home.run(["-r", "repo", "snapshots"]).code(12).says("--password-file");
    home.run(["-r", "repo", "keys", "add", "--password-file", "password"])
        .code(2)
        .says("--new-password-file");
}
