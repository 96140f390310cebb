//! What a configuration file may say, and what is refused in which words.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn parse(text: &str) -> Result<Config> {
    Config::parse(text, Path::new("/etc/chronos/chronos.toml"))
}

fn refused(text: &str) -> String {
    parse(text).unwrap_err().to_string()
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
fn an_unknown_key_is_named_with_the_nearest_known_one() {
    let message = refused("[[target]]\nname = \"a\"\npaths = [\"/a\"]\nexlude = [\"b\"]\n");
    assert!(message.contains("target.exlude") && message.contains("target.exclude"), "{message}");
    assert!(refused("[repositry]\n").contains("repository"));
    assert!(refused("[retention]\ndayly = { count = 1 }\n").contains("retention.daily"));
    assert!(refused("[retention]\ndaily = { cuont = 1 }\n").contains("retention.daily.count"));
}

#[test]
fn kinds_of_later_versions_are_refused_and_not_ignored() {
    for kind in ["n8n", "postgres", "sqlite"] {
        let message = refused(&format!(
            "[[target]]\nname = \"a\"\n[[target.source]]\nname = \"b\"\nkind = \"{kind}\"\n"
        ));
        assert!(message.contains("not in this version") && message.contains(kind), "{message}");
    }
    assert!(refused("[repository]\nlocation = \"s3://bucket\"\n").contains("not in this version"));
}

#[test]
fn values_outside_their_limits_are_refused() {
    assert!(refused("[limits]\nupload = \"fast\"\n").contains("limits.upload"));
    assert!(refused("[limits]\nupload = \"0\"\n").contains("limits.upload"));
    assert!(refused("[retention]\ndaily = { age = \"soon\" }\n").contains("retention.daily.age"));
    assert!(refused("[[target]]\nname = \"A\"\npaths = [\"/a\"]\n").contains("target"));
    assert!(refused("[[target]]\nname = \"a\"\n").contains("paths"));
    let twice = "[[target]]\nname = \"a\"\npaths = [\"/a\"]\n";
    assert!(refused(&format!("{twice}{twice}")).contains("two targets"));
    assert!(refused("not toml").contains("chronos.toml"));
}

#[test]
fn old_names_of_the_built_in_targets_find_them() {
    let config = parse("[[target]]\nname = \"prod\"\npaths = [\"/a\"]\n").unwrap();
    assert_eq!(config.target("prod-n8n").unwrap().name, "prod");
    assert!(config.target("other").is_none());
}
