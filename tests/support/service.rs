//! A running `chronos serve` on a free port, and calls to it.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::Program;

/// A running service in a home of its own. Ended when dropped.
#[derive(Debug)]
pub struct Service {
    program: Program,
    child: Option<Child>,
    chronos: Api,
    hades: Api,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

/// Where one of the two services answers.
#[derive(Debug)]
pub struct Api {
    url: String,
    client: reqwest::blocking::Client,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|e| panic!("not JSON ({e}): {} {}", self.status, self.text))
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body, if this was the status.
    ///
    /// # Panics
    /// If it was another one.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// The sentence of a problem of this status, which is one as RFC 9457 has it.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn problem(&self, status: u16) -> String {
        let body = self.expect(status);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{body}");
        assert_eq!(body["status"], status, "{body}");
        assert_eq!(body["detail"], body["error"], "{body}");
        assert!(body["state"].is_string() && body["title"].is_string() && body["type"].is_string(), "{body}");
        body["detail"].as_str().unwrap().to_owned()
    }
}

impl Api {
    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes one call.
    ///
    /// # Panics
    /// If there is no answer.
    #[track_caller]
    pub fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut call = self.client.request(method, format!("{}{path}", self.url)).body(body.into());
        for (name, value) in headers {
            call = call.header(*name, *value);
        }
        let answer = call.send().unwrap();
        let text = |v: &reqwest::header::HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned();
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().iter().map(|(n, v)| (n.to_string(), text(v))).collect(),
            text: answer.text().unwrap(),
        }
    }

    /// `GET`.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], "")
    }

    /// `POST` as `curl -d` does it: with the content type of a form.
    #[track_caller]
    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.call("POST", path, &[("content-type", "application/x-www-form-urlencoded")], body)
    }

    /// `DELETE`.
    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, &[], "")
    }
}

impl Service {
    /// Starts a service for this configuration (`chronos.toml`), with further options.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn start(program: Program, args: &[&str]) -> Self {
        let mut command = program.command(["serve", "--chronos-listen", "127.0.0.1:0"]);
        command.args(args);
        Self::of(program, command)
    }

    /// Starts one for a fresh home with this configuration, in which `HOME` stands for its folder.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn with_config(config: &str) -> Self {
        let program = Program::with_repository();
        configure(&program, config);
        Self::start(program, &[])
    }

    /// Waits until the command, which is `chronos serve`, is ready.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn of(program: Program, mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let noted = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = stderr.read(&mut bytes) {
                noted.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..n]));
            }
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut urls = line.split_whitespace().filter(|w| w.starts_with("http")).map(str::to_owned);
        let Some(url) = urls.next() else {
            child.wait().unwrap();
            reader.join().unwrap();
            panic!("not ready: {line:?} {}", log.lock().unwrap());
        };
        // One that serves HADES alone says one address.
        let hades = Api { url: urls.next().unwrap_or_else(|| url.clone()), client: crate::http_client() };
        let chronos = Api { url, client: crate::http_client() };
        Self { program, child: Some(child), chronos, hades, log, reader: Some(reader) }
    }

    /// Where CHRONOS listens.
    pub fn url(&self) -> &str {
        &self.chronos.url
    }

    /// HADES.
    pub fn hades(&self) -> &Api {
        &self.hades
    }

    /// The program in whose home it runs.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// A path in its home.
    pub fn path(&self, below: &str) -> PathBuf {
        self.program.home().join(below)
    }

    /// A file in its home.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn file(&self, below: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Process id.
    ///
    /// # Panics
    /// If it was ended.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// What it has logged until now.
    ///
    /// # Panics
    /// If its reader did.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Makes one call of CHRONOS.
    #[track_caller]
    pub fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        self.chronos.call(method, path, headers, body)
    }

    /// `GET`.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.chronos.get(path)
    }

    /// `POST` as `curl -d` does it.
    #[track_caller]
    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.chronos.post(path, body)
    }

    /// `DELETE`.
    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        self.chronos.delete(path)
    }

    /// Sends SIGTERM.
    ///
    /// # Panics
    /// If it was ended.
    pub fn terminate(&self) {
        let pid = rustix::process::Pid::from_raw(self.pid().cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Kills it: the home that it leaves.
    ///
    /// # Panics
    /// If it was ended.
    pub fn killed(mut self) -> Program {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        std::mem::take(&mut self.program)
    }

    /// Waits for its end: the exit code, all it logged, and the home that it leaves.
    ///
    /// # Panics
    /// If it was ended.
    pub fn left(mut self) -> (Option<i32>, String, Program) {
        let status = self.child.take().unwrap().wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        (status.code(), self.log(), std::mem::take(&mut self.program))
    }

    /// Waits for its end: the exit code, and all it logged.
    ///
    /// # Panics
    /// If it was ended.
    pub fn ended(mut self) -> (Option<i32>, String) {
        let status = self.child.take().unwrap().wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        (status.code(), self.log())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Writes the configuration of a home; `HOME` in it stands for the folder.
///
/// # Panics
/// If it cannot be written.
pub fn configure(program: &Program, config: &str) {
    let folder = program.home().join(".config/chronos");
    std::fs::create_dir_all(&folder).unwrap();
    let text = config.replace("HOME", program.home().to_str().unwrap());
    std::fs::write(folder.join("chronos.toml"), text).unwrap();
}
