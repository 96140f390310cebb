//! Real n8n servers, each started once per test program, on loopback, with an owner and an API key.
//!
//! `scripts/n8n` installs them. A server ends with the test program: a shell waits for the end of its standard input.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::http;
use crate::trees::repository_root;

/// Versions that run in the tests, the oldest first.
const VERSIONS: [&str; 3] = ["1.123.81", "2.8.4", "2.40.7"];

/// How long a server may take to start on a busy machine.
const START_MAX: Duration = Duration::from_mins(5);

/// Starts a command and ends it with standard input; then removes its data.
const UNTIL_INPUT_ENDS: &str =
    r#"dir=$1; shift; "$@" </dev/null & pid=$!; cat >/dev/null; kill $pid; wait $pid; rm -rf "$dir""#;

/// A running n8n.
#[derive(Debug)]
pub struct N8n {
    /// Its version.
    pub version: &'static str,
    /// API key of the owner.
    pub key: String,
    /// The owner's session.
    owner: String,
    port: u16,
    data: PathBuf,
    client: Client,
    /// Holds the standard input that keeps it running; one of its own runs by itself.
    _child: Option<Child>,
}

/// A server that can be destroyed: it has nothing but a folder and a port, and a script starts it.
#[derive(Debug)]
pub struct OwnN8n {
    version: &'static str,
    data: PathBuf,
    port: u16,
}

impl OwnN8n {
    /// One whose data will be in a folder that need not be there yet.
    pub fn new(version: &'static str, data: PathBuf) -> Self {
        Self { version, data, port: free_port() }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its version.
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// The words that start its command line, with the environment it needs.
    pub fn command(&self) -> Vec<String> {
        command(self.version, &self.data)
    }

    /// Where its own files are.
    pub fn files(&self) -> PathBuf {
        self.data.join(".n8n")
    }

    /// Its process id, in a file beside its data.
    fn pid_file(&self) -> PathBuf {
        self.data.with_extension("pid")
    }

    /// A script that ends it if it runs, and starts it.
    pub fn script(&self) -> String {
        let words = |words: Vec<String>| words.iter().map(|w| format!("'{w}'")).collect::<Vec<_>>().join(" ");
        let variables = environment(self.version, &self.data, self.port).into_iter();
        let variables = variables.chain([("N8N_RUNNERS_BROKER_PORT", free_port().to_string())]);
        let variables = words(variables.map(|(name, value)| format!("{name}={value}")).collect());
        let program = words(program(self.version).map(|word| word.to_str().unwrap().to_owned()).into());
        let (pid, data) = (self.pid_file(), &self.data);
        format!(
            "#!/bin/sh\nset -e\nmkdir -p '{data}'\nif test -e '{pid}'; then kill \"$(cat '{pid}')\" 2>/dev/null || true; \
             while kill -0 \"$(cat '{pid}')\" 2>/dev/null; do sleep 0.1; done; fi\n\
             setsid env {variables} {program} start </dev/null >'{log}' 2>&1 &\necho $! > '{pid}'\n",
            data = data.display(),
            log = data.with_extension("log").display(),
            pid = pid.display(),
        )
    }

    /// Waits until it answers, and sets it up: an owner and a key.
    ///
    /// # Panics
    /// If it does not start.
    pub fn set_up(&self) -> N8n {
        let mut server = N8n {
            version: self.version,
            key: String::new(),
            owner: String::new(),
            port: self.port,
            data: self.data.clone(),
            client: http::client(),
            _child: None,
        };
        server.wait();
        server.set_up();
        server
    }

    /// Ends it as a failing machine would, with all that it has.
    ///
    /// # Panics
    /// If its data cannot be removed.
    pub fn destroy(&self) {
        self.stop();
        std::fs::remove_dir_all(&self.data).unwrap();
    }

    /// Ends it at once; its command line needs no server.
    pub fn stop(&self) {
        let Ok(pid) = std::fs::read_to_string(self.pid_file()) else { return };
        // It leads a session of its own.
        let group = format!("-{}", pid.trim());
        drop(Command::new("kill").args(["-9", "--", &group]).status());
        std::fs::remove_file(self.pid_file()).unwrap();
    }
}

impl Drop for OwnN8n {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The server of a version for the time of one test; it holds no workflow.
///
/// # Panics
/// If it is not installed (`scripts/test` does) or does not start.
pub fn n8n(version: &'static str) -> MutexGuard<'static, N8n> {
    static SERVERS: [OnceLock<Mutex<N8n>>; 3] = [const { OnceLock::new() }; 3];
    let number = VERSIONS.iter().position(|v| *v == version).unwrap();
    let server = SERVERS[number].get_or_init(|| Mutex::new(N8n::start(version)));
    // A test that failed left it locked; the next one clears it all the same.
    let server = server.lock().unwrap_or_else(PoisonError::into_inner);
    server.clear();
    server
}

impl N8n {
    fn start(version: &'static str) -> Self {
        let data = tempfile::Builder::new().prefix("chronos-n8n").tempdir().unwrap().keep();
        let port = free_port();
        let log = File::create(data.join("log")).unwrap();
        let mut child = Command::new("sh");
        child.args(["-c", UNTIL_INPUT_ENDS, "sh"]).arg(&data).args(program(version)).arg("start");
        child.envs(environment(version, &data, port)).env("N8N_RUNNERS_BROKER_PORT", free_port().to_string());
        let child = child.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut server = Self {
            version,
            key: String::new(),
            owner: String::new(),
            port,
            data,
            client: http::client(),
            _child: Some(child),
        };
        server.wait();
        server.set_up();
        server
    }

    /// Waits until both interfaces refuse strangers, as they do only when they are there: the health check is ready before.
    ///
    /// # Panics
    /// If it does not start.
    pub fn wait(&self) {
        let begin = Instant::now();
        let refuses = |path: &str| {
            let answer = self.client.get(format!("{}{path}", self.url())).send();
            answer.is_ok_and(|a| a.status() == 401)
        };
        while !(refuses("/api/v1/workflows") && refuses("/rest/login")) {
            if begin.elapsed() > START_MAX {
                let mut log = String::new();
                let file =
                    [self.data.join("log"), self.data.with_extension("log")].into_iter().find(|f| f.exists());
                File::open(file.unwrap()).unwrap().read_to_string(&mut log).unwrap();
                panic!("n8n {} does not start:\n{log}", self.version);
            }
            // A server can only be asked again.
            std::thread::park_timeout(Duration::from_millis(250));
        }
    }

    fn set_up(&mut self) {
        let owner = json!({"email": "owner@example.test", "firstName": "Test", "lastName": "Owner", "password": "Passw0rd-of-tests"});
        let answer =
            self.client.post(format!("{}/rest/owner/setup", self.url())).json(&owner).send().unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().unwrap());
        let cookie = session(answer.headers());
        let rest = |call: RequestBuilder| -> Value {
            let answer = call.header("cookie", &cookie).send().unwrap();
            assert!(answer.status().is_success(), "{}", answer.text().unwrap());
            answer.json().unwrap()
        };
        self.key = self.make_key(&rest);
        self.owner = cookie;
    }

    /// An API key with all that its user may do.
    fn make_key(&self, rest: &dyn Fn(RequestBuilder) -> Value) -> String {
        let keys = format!("{}/rest/api-keys", self.url());
        let scopes = rest(self.client.get(format!("{keys}/scopes")));
        let key = json!({"label": "tests", "expiresAt": null, "scopes": scopes["data"]});
        let made = rest(self.client.post(keys).json(&key));
        made["data"]["rawApiKey"].as_str().unwrap().to_owned()
    }

    /// The key of a new user who is not the owner.
    ///
    /// # Panics
    /// If the server fails.
    pub fn member_key(&self) -> String {
        let answer = |call: RequestBuilder| {
            let answer = call.send().unwrap();
            let (status, headers) = (answer.status(), answer.headers().clone());
            let text = answer.text().unwrap();
            assert!(status.is_success(), "{}: {status} {text}", self.version);
            (headers, serde_json::from_str::<Value>(&text).unwrap())
        };
        let at = |path: &str| format!("{}/rest/{path}", self.url());
        let member = json!([{"email": "member@example.test", "role": "global:member"}]);
        let invited = self.client.post(at("invitations")).header("cookie", &self.owner).json(&member);
        let (_, invited) = answer(invited);
        let url = invited["data"][0]["user"]["inviteAcceptUrl"].as_str().unwrap();
        let (_, query) = url.split_once('?').unwrap();
        let given: BTreeMap<&str, &str> =
            query.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
        let mut body = json!({"firstName": "Test", "lastName": "Member", "password": "Passw0rd-of-tests"});
        let path = if let Some(token) = given.get("token") {
            body["token"] = json!(token);
            "invitations/accept".to_owned()
        } else {
            body["inviterId"] = json!(given["inviterId"]);
            format!("invitations/{}/accept", given["inviteeId"])
        };
        let (headers, _) = answer(self.client.post(at(&path)).json(&body));
        let cookie = session(&headers);
        self.make_key(&|call| answer(call.header("cookie", &cookie)).1)
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A call of the public API: status and body.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn try_call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let begin = Instant::now();
        loop {
            let mut call = self.client.request(method.clone(), format!("{}/api/v1/{path}", self.url()));
            call = call.header("X-N8N-API-KEY", &self.key);
            if let Some(body) = body {
                call = call.json(body);
            }
            let answer = call.send().unwrap();
            let status = answer.status().as_u16();
            let text = answer.text().unwrap();
            // On a busy machine it misses its database for a moment, and says so before it looks at a call.
            if status == 503 && text.contains("Database is not ready") && begin.elapsed() < START_MAX {
                std::thread::park_timeout(Duration::from_millis(250));
                continue;
            }
            return (status, serde_json::from_str(&text).unwrap_or(Value::String(text)));
        }
    }

    /// A call of the public API that succeeds.
    ///
    /// # Panics
    /// If it does not.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.try_call(method, path, body);
        assert!((200..300).contains(&status), "{} {method} {path}: {status} {answer}", self.version);
        answer
    }

    /// A workflow as the API shows it; `None` if there is none.
    ///
    /// # Panics
    /// If the server fails.
    pub fn workflow(&self, id: &str) -> Option<Value> {
        let (status, answer) = self.try_call("GET", &format!("workflows/{id}"), None);
        assert!(matches!(status, 200 | 404), "{status} {answer}");
        (status == 200).then_some(answer)
    }

    /// Ids of all workflows.
    ///
    /// # Panics
    /// If the server fails.
    pub fn ids(&self) -> Vec<String> {
        let mut ids = std::collections::BTreeSet::new();
        let mut query = "workflows?limit=250".to_owned();
        loop {
            let page = self.call("GET", &query, None);
            ids.extend(page["data"].as_array().unwrap().iter().map(|w| w["id"].as_str().unwrap().to_owned()));
            match page["nextCursor"].as_str() {
                Some(cursor) => query = format!("workflows?limit=250&cursor={cursor}"),
                None => return ids.into_iter().collect(),
            }
        }
    }

    /// Deletes workflow `id`, active or not.
    ///
    /// # Panics
    /// If the server fails.
    pub fn delete(&self, id: &str) {
        let path = format!("workflows/{id}");
        for _ in 0..300 {
            match self.try_call("DELETE", &path, None) {
                (200 | 404, _) => return,
                // Published, or still being unpublished.
                (409, _) => drop(self.try_call("POST", &format!("{path}/deactivate"), None)),
                (status, answer) => panic!("{status} {answer}"),
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
        panic!("{} does not let go of workflow {id}", self.version);
    }

    /// Deletes all workflows and tags.
    ///
    /// # Panics
    /// If the server fails.
    pub fn clear(&self) {
        loop {
            let ids = self.ids();
            ids.iter().for_each(|id| self.delete(id));
            if ids.is_empty() {
                break;
            }
        }
        for tag in self.call("GET", "tags?limit=250", None)["data"].as_array().unwrap() {
            self.call("DELETE", &format!("tags/{}", tag["id"].as_str().unwrap()), None);
        }
    }

    /// The words that start its command line, with the environment it needs.
    ///
    /// # Panics
    /// Never: paths of tests are text.
    pub fn command(&self) -> Vec<String> {
        command(self.version, &self.data)
    }

    /// A folder that holds its command line under its usual name, `n8n`, so that a prefix can find it.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn install_command(&self, folder: &std::path::Path) {
        self.install_command_after(folder, "");
    }

    /// The same, with lines of a shell that are run before.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn install_command_after(&self, folder: &std::path::Path, before: &str) {
        let words: Vec<String> = self.command().iter().map(|word| format!("'{word}'")).collect();
        let script = folder.join("n8n");
        let words = words.join(" ");
        std::fs::write(
            &script,
            format!("#!/bin/sh\nn8n() {{ {words} \"$@\"; }}\n{before}exec {words} \"$@\"\n"),
        )
        .unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    }

    /// Runs its command line.
    ///
    /// # Panics
    /// If that fails.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let words = self.command();
        let output = Command::new(&words[0]).args(&words[1..]).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// Puts workflows in by the command line, which keeps their ids.
    ///
    /// # Panics
    /// If that fails.
    pub fn import(&self, workflows: &[Value]) {
        let file = tempfile::NamedTempFile::new().unwrap();
        serde_json::to_writer(&file, workflows).unwrap();
        self.cli(&["import:workflow", &format!("--input={}", file.path().to_str().unwrap())]);
    }
}

/// The words that start the command line of what has its data there.
fn command(version: &str, data: &std::path::Path) -> Vec<String> {
    let mut words = vec!["env".to_owned()];
    words.extend(environment(version, data, 1).into_iter().map(|(k, v)| format!("{k}={v}")));
    words.extend(program(version).map(|w| w.to_str().unwrap().to_owned()));
    words
}

/// The cookie that an answer sets.
fn session(headers: &HeaderMap) -> String {
    headers.get("set-cookie").unwrap().to_str().unwrap().split(';').next().unwrap().to_owned()
}

fn installed() -> PathBuf {
    repository_root().join("target/fixtures/n8n")
}

/// Node and the entry point of a version.
fn program(version: &str) -> [PathBuf; 2] {
    let at = installed();
    assert!(at.join(version).join(".complete").exists(), "n8n {version} is missing: run scripts/test");
    [at.join("node/bin/node"), at.join(version).join("node_modules/n8n/bin/n8n")]
}

/// A port that nobody has.
///
/// # Panics
/// If the system has none.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Quiet, on loopback, calling nobody.
fn environment(version: &str, data: &std::path::Path, port: u16) -> Vec<(&'static str, String)> {
    let path = format!("{}:{}", installed().join("node/bin").display(), std::env::var("PATH").unwrap());
    let mut variables = vec![
        ("PATH", path),
        ("N8N_USER_FOLDER", data.to_str().unwrap().to_owned()),
        ("N8N_PORT", port.to_string()),
        ("N8N_ENCRYPTION_KEY", "key-of-the-tests-0123456789abcdef".to_owned()),
    ];
    let mut set = |names: &[&'static str], value: &str| {
        variables.extend(names.iter().map(|name| (*name, value.to_owned())));
    };
    set(&["N8N_LISTEN_ADDRESS", "N8N_HOST", "N8N_RUNNERS_BROKER_LISTEN_ADDRESS"], "127.0.0.1");
    set(&["GENERIC_TIMEZONE", "TZ"], "UTC");
    set(&["NO_COLOR", "N8N_ENFORCE_SETTINGS_FILE_PERMISSIONS"], "true");
    set(&["EXTERNAL_FRONTEND_HOOKS_URLS"], "");
    set(
        &[
            "N8N_SECURE_COOKIE",
            "N8N_DIAGNOSTICS_ENABLED",
            "N8N_VERSION_NOTIFICATIONS_ENABLED",
            "N8N_TEMPLATES_ENABLED",
            "N8N_PERSONALIZATION_ENABLED",
            "N8N_HIRING_BANNER_ENABLED",
            "N8N_COMMUNITY_PACKAGES_ENABLED",
            "N8N_LICENSE_AUTO_RENEW_ENABLED",
            "N8N_RUNNERS_ENABLED",
        ],
        "false",
    );
    match version {
        // Its new engine needs an addon that is not built for every Node.
        v if v.starts_with("1.") => set(&["N8N_EXPRESSION_ENGINE"], "legacy"),
        v if v.starts_with("2.40") => set(&["N8N_DISABLED_MODULES"], "mcp-registry,instance-ai,chat-hub"),
        _ => {}
    }
    variables
}

/// A workflow that can be active: it begins every hour, and does nothing.
pub fn hourly(name: &str) -> Value {
    let node = |id: usize, name: &str, kind: &str, parameters: Value| {
        json!({"id": format!("20000000-0000-4000-8000-{id:012}"), "name": name, "type": kind, "typeVersion": 1,
            "position": [220 * id, 40], "parameters": parameters})
    };
    json!({
        "name": name,
        "nodes": [
            node(1, "Every hour", "n8n-nodes-base.scheduleTrigger", json!({"rule": {"interval": [{"field": "hours"}]}})),
            node(2, "Done", "n8n-nodes-base.noOp", json!({})),
        ],
        "connections": {"Every hour": {"main": [[{"node": "Done", "type": "main", "index": 0}]]}},
        "settings": {"executionOrder": "v1"},
    })
}
