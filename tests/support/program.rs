//! The built `chronos` program, run in a home folder of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// `chronos` with its own home, so that nothing of the user's is touched.
#[derive(Debug)]
pub struct Program {
    home: TempDir,
    repository: PathBuf,
    variables: Vec<(&'static str, String)>,
}

/// What one call gave.
#[derive(Debug)]
pub struct Output {
    /// Exit code; -1 when ended by a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// The one JSON document on standard output.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("not one JSON document ({e}): {} {}", self.stdout, self.stderr))
    }

    /// Fails unless the call ended with `code`.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

impl Default for Program {
    fn default() -> Self {
        Self::new()
    }
}

impl Program {
    /// A fresh home with no repository in it.
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let repository = home.path().join("repository");
        Self { home, repository, variables: Vec::new() }
    }

    /// A fresh home whose repository lies at a place behind a network, which these variables lead to. It is not made yet.
    pub fn at(location: &str, variables: &[(&'static str, String)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let variables = variables.iter().cloned().chain([("CHRONOS_REPO", location.to_owned())]).collect();
        Self { repository: home.path().join("repository"), home, variables }
    }

    /// A fresh home with a repository that opens without a password.
    pub fn with_repository() -> Self {
        let program = Self::new();
        program.run(["init"]).expect_code(0);
        program
    }

    /// The home folder.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where the repository lies.
    pub fn repository(&self) -> &Path {
        &self.repository
    }

    /// Path of the program, built beside the tests.
    pub fn path() -> PathBuf {
        let test = std::env::current_exe().unwrap();
        let path = test.parent().and_then(Path::parent).unwrap().join("chronos");
        assert!(path.exists(), "{} is not built: run the tests of the whole workspace", path.display());
        path
    }

    /// A command in this home and for this repository, not yet started.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        self.command_under(&[], args)
    }

    /// The same, started by another program such as `strace` with its options.
    pub fn command_under<S: AsRef<OsStr>>(
        &self,
        wrapper: &[&str],
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut words = wrapper.iter().map(PathBuf::from).chain([Self::path()]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("CHRONOS_REPO", &self.repository).current_dir(self.home());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        // Many services run at once.
        command.env("HADES_LISTEN", "127.0.0.1:0");
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs to the end.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        Self::finish(self.command(args).spawn().unwrap())
    }

    /// Waits for a started command.
    pub fn finish(child: Child) -> Output {
        let output = child.wait_with_output().unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
