//! A real OpenSSH server on loopback with keys of its own, and an `ssh` that knows it.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::n8n::free_port;

/// Absolute, since the server starts itself anew for each connection.
const SSHD: &str = "/usr/sbin/sshd";

/// The alias by which the configuration of the tests knows the server.
const HOST: &str = "storage";

/// How long the server may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server; it ends with this value.
#[derive(Debug)]
pub struct Sshd {
    dir: TempDir,
    port: u16,
    server: Child,
}

impl Sshd {
    /// One with the `sftp-server` of the system, which writes down each request before it answers.
    pub fn new() -> Self {
        Self::with("Subsystem sftp {place}/sftp-server")
    }

    /// One with these lines of configuration, in which `{place}` stands for its folder.
    ///
    /// # Panics
    /// If it cannot be started: the Debian package `openssh-server` is missing, or this is not root.
    pub fn with(lines: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("chronos-sshd-").tempdir_in("/var/lib").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        // The server wants it to be there, and the package leaves that to the start of the machine.
        fs::create_dir_all("/run/sshd").unwrap();
        for key in ["host", "user", "stranger"] {
            let mut make = Command::new("ssh-keygen");
            make.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.path().join(key));
            assert!(make.status().unwrap().success());
        }
        fs::copy(dir.path().join("user.pub"), dir.path().join("authorized")).unwrap();
        let (port, place) = (free_port(), dir.path().display());
        let sftp = format!("exec /usr/lib/openssh/sftp-server -e -l DEBUG3 2>>{place}/requests");
        program(&dir.path().join("sftp-server"), &sftp);
        program(&dir.path().join("ssh"), &format!("echo $$ >>{place}/started\nexec ssh \"$@\""));
        fs::write(dir.path().join("started"), "").unwrap();
        let lines = lines.replace("{place}", &place.to_string());
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {place}/host\nPidFile none\nUsePAM no\nStrictModes no\n\
             AuthorizedKeysFile {place}/authorized\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin yes\nMaxStartups 100\nLogLevel VERBOSE\n{lines}\n"
        );
        fs::write(dir.path().join("sshd_config"), config).unwrap();
        let host_key = fs::read_to_string(dir.path().join("host.pub")).unwrap();
        fs::write(dir.path().join("known_hosts"), format!("[127.0.0.1]:{port} {host_key}")).unwrap();
        let server = Command::new(SSHD)
            .arg("-D")
            .arg("-f")
            .arg(dir.path().join("sshd_config"))
            .arg("-E")
            .arg(dir.path().join("sshd.log"))
            .stdin(Stdio::null())
            .spawn()
            .expect("the Debian package openssh-server is missing: scripts/test installs it");
        let mut server = Self { dir, port, server };
        server.client("ssh_config", "");
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = server.server.try_wait().unwrap();
            assert!(ended.is_none() && begin.elapsed() < PATIENCE, "no sshd: {}", server.log());
            std::thread::yield_now();
        }
        server
    }

    /// Writes a configuration of `ssh` for this server, whose lines are preceded by others, and gives its path.
    pub fn client(&self, name: &str, lines: &str) -> PathBuf {
        let (place, port) = (self.dir.path().display(), self.port);
        let config = format!(
            "{lines}\nHost {HOST}\n HostName 127.0.0.1\n Port {port}\nHost *\n User root\n IdentityFile {place}/user\n IdentitiesOnly yes\n \
             UserKnownHostsFile {place}/known_hosts\n GlobalKnownHostsFile none\n StrictHostKeyChecking yes\n"
        );
        let path = self.dir.path().join(name);
        fs::write(&path, config).unwrap();
        path
    }

    /// A folder of the server that belongs to the test: keys, logs, and whatever is put there.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// A folder for the account `owner`, by its number.
    pub fn folder_of(&self, name: &str, owner: u32) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir(&path).unwrap();
        chown(&path, Some(owner), None).unwrap();
        path
    }

    /// Port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where a folder of this name is, as a repository.
    pub fn location(&self, name: &str) -> String {
        format!("sftp://{HOST}{}/{name}", self.dir.path().display())
    }

    /// Makes a program to be started instead of `ssh`, of lines of the shell, and gives what leads to it.
    pub fn instead_of_ssh(&self, name: &str, lines: &str) -> Vec<(&'static str, String)> {
        let (script, config) = (self.dir.path().join(name), self.dir.path().join("ssh_config"));
        program(&script, &format!("cd {}\necho $$ >>started\n{lines}", self.dir.path().display()));
        vec![("CHRONOS_SSH_COMMAND", format!("{} -F {}", script.display(), config.display()))]
    }

    /// What leads to the server: an `ssh` with a configuration by [`Sshd::client`], which writes down its number.
    pub fn variables(&self, config: &Path) -> Vec<(&'static str, String)> {
        let script = self.dir.path().join("ssh");
        vec![("CHRONOS_SSH_COMMAND", format!("{} -F {}", script.display(), config.display()))]
    }

    /// Numbers of the processes of `ssh` that were started by way of [`Sshd::variables`].
    pub fn started(&self) -> Vec<i32> {
        let text = fs::read_to_string(self.dir.path().join("started")).unwrap();
        text.lines().map(|line| line.parse().unwrap()).collect()
    }

    /// The requests to [`Sshd::new`] since this was last asked, each by its first word, in their order.
    pub fn take_requests(&self) -> Vec<String> {
        let path = self.dir.path().join("requests");
        let text = fs::read_to_string(&path).unwrap_or_default();
        fs::File::create(&path).unwrap();
        let of_line = |line: &str| {
            let (_, said) = line.split_once("request ")?;
            let (number, said) = said.split_once(": ")?;
            number.parse::<u32>().ok()?;
            Some(said.split([' ', ':']).next()?.to_owned())
        };
        text.lines().filter_map(of_line).collect()
    }

    /// What the server wrote down.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("sshd.log")).unwrap_or_default()
    }
}

impl Default for Sshd {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // It may have ended by itself; connections that are open end with their clients.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Makes a program of a few lines.
fn program(path: &Path, lines: &str) {
    fs::write(path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
