//! Targets of what people write: the configuration file, the environment, the values of options.

use std::path::Path;

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
];

fn config_file(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(config) = Config::parse(text, Path::new("/etc/chronos/config.toml")) else { return false };
    let again = Config::parse(&config.to_toml(), Path::new("/etc/chronos/config.toml"));
    assert!(again.is_ok_and(|again| again == config), "what is written reads back");
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
    vec![whole.into(), b"[limits]\ndownload = \"1k\"\n".to_vec(), Vec::new()]
}

/// Lines `NAME=VALUE`.
fn environment(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let get = |name: &str| {
        text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('=')).map(ToOwned::to_owned)
    };
    Environment::read(get).is_ok_and(|read| read != Environment::default())
}

fn environment_seeds() -> Vec<Vec<u8>> {
    vec![b"BACKUP_PATH=/srv\nRETENTION_DAYS= 30\nCRONOS_MAX_BACKUPS=5\nCRONOS_RETENTION_DAYS=7".to_vec()]
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
