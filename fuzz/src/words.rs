//! Targets of what people write: the configuration file, the environment, the values of options.

use std::path::Path;

use chronos_remote::Location;
use chronos_server::config::{Network, parse_listen};
use chronos_server::schedule::{Times, parse_timezone};
use chronos_server::workplace::key_file::parse;
use chronos_server::{Config, Environment, check_target_name, nearest, parse_duration, parse_size};
use chronos_store::fuzz::Target;

#[expect(dead_code, reason = "a file of the program, which uses all of it")]
#[path = "../../cli/src/values.rs"]
mod values;

pub(crate) const TARGETS: &[Target] = &[
    // Each error shows a part of the file, and keys that are not known are compared with all that are.
    Target::new("config_file", config_file, config_file_seeds).within(1024, 1 << 20),
    Target::new("environment", environment, environment_seeds),
    Target::new("values", options, options_seeds),
    Target::new("key_file", key_file, key_file_seeds),
    Target::new("location", location, location_seeds),
];

/// Where a repository lies.
fn location(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    match Location::parse(text) {
        Ok(Location::Local(path)) => assert!(!path.as_os_str().is_empty()),
        Ok(place) => assert_eq!(Location::parse(&place.to_string()).ok(), Some(place)),
        Err(_) => return false,
    }
    true
}

fn location_seeds() -> Vec<Vec<u8>> {
    let all = [
        "/srv/backup",
        "file:///srv/backup",
        "s3://bucket/a/b?endpoint=https://s3.example.com:9000&region=eu-1&profile=back%20up&style=virtual",
        "gs://bucket",
        "az://container/a?endpoint=http://127.0.0.1:10000/account",
        "sftp://me@host:2222/srv/back%20up",
        "sftp://host/~/backup",
    ];
    all.map(|text| text.as_bytes().to_vec()).to_vec()
}

fn config_file(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(config) = Config::parse(text, Path::new("/etc/chronos/config.toml")) else { return false };
    // Secrets are written as marks.
    let again = Config::parse(&config.to_toml(), Path::new("/etc/chronos/config.toml"));
    assert!(again.is_ok_and(|again| again.to_toml() == config.to_toml()), "what is written reads back");
    drop(config.warnings(None));
    for target in &config.targets {
        assert!(config.target(&target.name).is_some(), "every target is found by its name");
    }
    true
}

fn config_file_seeds() -> Vec<Vec<u8>> {
    let whole = r#"
[repository]
location = "/srv/backup"
key_file = "key"

[limits]
upload = "10M"

[retention]
age = "30d"

[[target]]
name = "prod"
aliases = ["p"]
paths = ["/home"]

[[target]]
name = "dump"
[[target.source]]
name = "db"
kind = "command"
command = "pg_dump"
filename = "db.sql"
"#;
    let sources = r#"
[[target]]
name = "prod"
[[target.source]]
name = "flows"
kind = "n8n"
url = "http://localhost:5678"
api_key = { env = "KEY" }
user = "me"
password = "secret"
max_drop = "10%"
required = ["12"]
[[target.source]]
name = "db"
kind = "postgres"
url = "postgres://me:pw@host/db"
min_bytes = "1M"
[[target.source]]
name = "bus"
kind = "sqlite"
path = "bus.db"
optional = true
"#;
    vec![whole.into(), sources.into(), b"[limits]\ndownload = \"1k\"\n".to_vec(), Vec::new()]
}

/// Lines `NAME=VALUE`.
fn environment(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let get = |name: &str| {
        text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('=')).map(ToOwned::to_owned)
    };
    let Ok(read) = Environment::read(get) else { return false };
    let mut config = Config::default();
    if read.lay_over(&mut config).is_ok() {
        let has_none = read.database_url.is_none() && read.n8n.iter().all(|n| n.url.is_none());
        assert_eq!(config.targets.is_empty(), has_none);
    }
    read != Environment::default()
}

fn environment_seeds() -> Vec<Vec<u8>> {
    vec![
        b"BACKUP_PATH=/srv\nRETENTION_DAYS= 30\nCRONOS_MAX_BACKUPS=5\nCRONOS_RETENTION_DAYS=7".to_vec(),
        b"N8N_CONTROL_URL=http://a:5678\nN8N_API_KEY=k\nN8N_PASS_FILE=/p\nDATABASE_URL=postgres://h/d\nS3_BUCKET=b".to_vec(),
    ]
}

fn options(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    if let Ok(size) = parse_size(text) {
        assert_eq!(parse_size(&size.to_string()).map(|again| again.abs_diff(size) <= size >> 52), Ok(true));
        assert_eq!(values::parse_bytes(text), Ok(size));
    }
    if let Ok(seconds) = parse_duration(text) {
        assert_eq!(parse_duration(&format!("{seconds}s")), Ok(seconds));
    }
    let mut any = values::parse_rate(text).is_ok_and(|rate| rate > 0);
    any |= values::parse_nanos(text).is_ok_and(|nanos| nanos >= 0);
    any |= values::parse_time(text).is_ok();
    any |= Times::parse(text, None).is_ok() || parse_timezone(text).is_ok() || parse_listen(text).is_ok();
    if let Ok(network) = text.parse::<Network>() {
        assert_eq!(network.to_string().parse(), Ok(network));
    }
    any |= values::parse_pair(text).is_ok_and(|(key, value)| format!("{key}={value}") == text);
    any |= values::parse_tier(text).is_ok() || values::parse_type(text).is_ok();
    if values::parse_label(text).is_ok() {
        assert!(!text.contains(char::is_control));
    }
    if values::parse_target(text).is_ok() {
        assert!(check_target_name(text).is_ok());
    }
    assert!(nearest(text, ["exclude"]).is_none_or(|word| word == "exclude"));
    any
}

fn options_seeds() -> Vec<Vec<u8>> {
    [
        "10 MiB",
        "1.5G",
        "1d12h",
        "90 days",
        "2026-01-31 13:00",
        "2026-01-31T13:00:00Z",
        "k=v",
        "30 2 * * 1-5",
        "Europe/Berlin",
        "10.0.0.0/8",
        "[::1]:8010",
        "pre_deploy",
        "full",
    ]
    .map(|t| t.as_bytes().to_vec())
    .to_vec()
}

fn key_file(bytes: &[u8]) -> bool {
    let Some(key) = parse(bytes) else { return false };
    assert!(bytes.len() == 32 || bytes.len() >= 64);
    assert_eq!(parse(&key), Some(key), "plain bytes are a key");
    true
}

fn key_file_seeds() -> Vec<Vec<u8>> {
    let text = format!("# a key\r\n\n  {}  \n# more", "0aF".repeat(22).get(..64).unwrap_or_default());
    vec![text.into_bytes(), vec![7; 32]]
}
