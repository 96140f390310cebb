//! What a configuration file may say, and what is refused in which words.
#![expect(clippy::unwrap_used, reason = "tests")]

mod completeness;
mod refused;
mod sections;

use std::path::Path;

use super::*;

fn parse(text: &str) -> Result<Config> {
    Config::parse(text, Path::new("/etc/chronos/chronos.toml"))
}

/// Also with what does nothing yet.
fn understood(text: &str) -> Result<Config> {
    Config::parse(text, Path::new("/etc/chronos/chronos.toml"))
}

fn refused(text: &str) -> String {
    understood(text).unwrap_err().to_string()
}

const FULL: &str = r#"
[repository]
location = "/srv/backups"
password_file = "password"

[limits]
upload = "10M"

[retention]
daily = { count = 7, age = "30d" }
yearly = {}

[[target]]
name = "shop"
aliases = ["store"]
paths = ["/srv/shop", "relative"]
exclude = ["*.tmp"]
retention = { daily = { count = 14 } }

[[target.source]]
name = "shop-db"
kind = "command"
command = "pg_dump -Fp shop"
filename = "shop.sql"

[[target]]
name = "code"
preset = "project"
paths = ["/home/me/code"]
max_backups = 50
"#;

#[test]
fn a_full_file_is_understood_and_paths_start_from_its_folder() {
    let config = parse(FULL).unwrap();
    let shop = config.target("store").unwrap();
    assert_eq!(shop.paths, [Path::new("/srv/shop"), Path::new("/etc/chronos/relative")]);
    assert_eq!(config.repository.password_file.as_deref(), Some(Path::new("/etc/chronos/password")));
    assert_eq!(shop.sources.first().unwrap().kind, SourceKind::Command);
    assert_eq!(config.retention.get("daily").unwrap().age_seconds(), Some(30 * 86_400));
    assert_eq!(config.target("code").unwrap().max_backups, Some(50));
}

#[test]
fn what_is_shown_can_be_read_again() {
    let config = parse(FULL).unwrap();
    assert_eq!(parse(&config.to_toml()).unwrap(), config);
    assert_eq!(parse(&Config::default().to_toml()).unwrap(), Config::default());
}

#[test]
fn old_names_of_the_built_in_targets_find_them() {
    let config = parse("[[target]]\nname = \"prod\"\npaths = [\"/a\"]\n").unwrap();
    assert_eq!(config.target("prod-n8n").unwrap().name, "prod");
    assert!(config.target("other").is_none());
}
