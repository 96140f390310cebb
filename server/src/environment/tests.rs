//! What variables say, and what they do to a configuration.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::path::Path;

use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Environment> {
    Environment::read(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
}

fn laid(variables: &[(&str, &str)], file: &str) -> Result<Config> {
    let mut config = Config::parse(file, Path::new("/etc/chronos/chronos.toml")).unwrap();
    read(variables)?.lay_over(&mut config)?;
    Ok(config)
}

fn resolved(secret: Option<&SecretRef>) -> String {
    secret.unwrap().resolve(&|name| Some(format!("value of {name}"))).unwrap().reveal().to_owned()
}

#[test]
fn the_older_name_of_the_place_comes_second() {
    let both = [("BACKUP_PATH", "/a"), ("CRONOS_BACKUP_DIR", "/b")];
    assert_eq!(read(&both).unwrap().backup_path, Some("/a".into()));
    assert_eq!(read(&both[1..]).unwrap().backup_path, Some("/b".into()));
}

#[test]
fn what_is_started_inherits_none_of_the_secrets() {
    let asked = std::cell::RefCell::new(std::collections::BTreeSet::new());
    let get = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        None
    };
    Environment::read(get).unwrap();
    let asked = asked.into_inner();
    let secrets: Vec<&str> = asked.iter().filter_map(|name| name.strip_suffix("_FILE")).collect();
    assert!(secrets.contains(&"DATABASE_URL") && secrets.contains(&"N8N_PROD_API_KEY"), "{secrets:?}");
    for name in secrets {
        assert!(chronos_connect::is_secret_variable(name.as_ref()), "{name}");
    }
}

#[test]
fn a_bad_value_names_its_variable() {
    assert!(read(&[("RETENTION_DAYS", "many")]).unwrap_err().to_string().contains("RETENTION_DAYS"));
    let message = read(&[("N8N_PROD_URL", "http://me:s3cr3t@host")]).unwrap_err().to_string();
    assert!(message.contains("N8N_PROD_URL") && !message.contains("s3cr3t"), "{message}");
    assert!(read(&[("EVENT_BUS_URL", "bus")]).unwrap_err().to_string().contains("EVENT_BUS_URL"));
}

#[test]
fn without_a_file_the_variables_define_the_targets() {
    let variables = [
        ("N8N_CONTROL_URL", "http://localhost:5678"),
        ("N8N_PROD_URL", "http://prod:5678"),
        ("N8N_DEV_URL", ""),
        ("N8N_PROD_API_KEY", "p"),
        ("N8N_API_KEY", "k"),
        ("DATABASE_URL", "postgres://me:s3cr3t@db/shop"),
        ("EVENT_BUS_URL", "http://localhost:8099"),
    ];
    let config = laid(&variables, "").unwrap();
    let names: Vec<&str> = config.targets.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["control-plane", "prod", "supabase"]);
    let source = |target: &str| config.target(target).unwrap().sources[0].clone();
    assert_eq!(resolved(source("control-n8n").url.as_ref()), "http://localhost:5678");
    assert_eq!(resolved(source("control-plane").api_key.as_ref()), "value of N8N_API_KEY");
    assert_eq!(resolved(source("prod").api_key.as_ref()), "value of N8N_PROD_API_KEY");
    assert_eq!((source("prod").kind, source("prod").component()), (SourceKind::N8n, "workflows"));
    assert_eq!(resolved(source("supabase").url.as_ref()), "value of DATABASE_URL");
    assert_eq!(source("supabase").component(), "database");
    assert_eq!(config.events.url.as_deref(), Some("http://localhost:8099"));
    assert!(!format!("{config:?}{}", config.to_toml()).contains("s3cr3t"));
    assert!(config.to_toml().contains("http://prod:5678"), "{}", config.to_toml());
}

#[test]
fn secrets_may_be_in_files_and_a_proxy_has_a_usual_user() {
    let variables = [
        ("N8N_DEV_URL", "http://dev"),
        ("N8N_API_KEY_FILE", "/run/key"),
        ("N8N_PASS_FILE", "/run/pass"),
        ("DATABASE_URL_FILE", "/run/db"),
    ];
    let config = laid(&variables, "").unwrap();
    let source = &config.target("dev").unwrap().sources[0];
    assert_eq!(source.api_key, Some(SecretRef::File("/run/key".into())));
    assert_eq!(
        (source.user.as_deref(), &source.password),
        (Some("admin"), &Some(SecretRef::File("/run/pass".into())))
    );
    assert_eq!(config.target("supabase").unwrap().sources[0].url, Some(SecretRef::File("/run/db".into())));
}

#[test]
fn a_user_without_a_key_is_told_how_to_make_one() {
    let variables = [("N8N_CONTROL_URL", "http://a"), ("N8N_USER", "me"), ("N8N_PASS", "s3cr3t")];
    let config = laid(&variables, "").unwrap();
    let source = &config.targets[0].sources[0];
    assert_eq!(source.user.as_deref(), Some("me"));
    let said = config.warnings(None);
    assert!(
        said.len() == 1 && said[0].contains("n8n wants an API key") && said[0].contains("N8N_API_KEY"),
        "{said:?}"
    );
    let with_key = laid(&[variables[0], ("N8N_API_KEY", "k")], "").unwrap();
    assert!(with_key.warnings(None).is_empty());
}

const FILE: &str = r#"
[[target]]
name = "prod"
[[target.source]]
name = "flows"
kind = "n8n"
url = "http://old"
api_key = { file = "/etc/key" }

[[target]]
name = "supabase"
paths = ["/srv/supabase"]
"#;

#[test]
fn variables_override_the_file_and_add_what_it_does_not_have() {
    let variables =
        [("N8N_PROD_URL", "http://new"), ("N8N_API_KEY", "k"), ("DATABASE_URL", "postgres://db/x")];
    let config = laid(&variables, FILE).unwrap();
    let prod = &config.target("prod").unwrap().sources;
    assert_eq!((prod.len(), prod[0].name.as_str()), (1, "flows"));
    assert_eq!(resolved(prod[0].url.as_ref()), "http://new");
    assert_eq!(prod[0].api_key, Some(SecretRef::File("/etc/key".into())), "its own key stays");
    let supabase = config.target("supabase").unwrap();
    assert_eq!((supabase.paths.len(), supabase.sources[0].kind), (1, SourceKind::Postgres));
    let own = laid(&[("N8N_PROD_API_KEY", "k")], FILE).unwrap();
    assert_eq!(
        own.target("prod").unwrap().sources[0].api_key,
        Some(SecretRef::Env("N8N_PROD_API_KEY".into()))
    );
    assert_eq!(
        laid(&[("N8N_DEV_API_KEY", "k")], FILE).unwrap().targets.len(),
        2,
        "a key alone defines nothing"
    );
}

#[test]
fn a_bucket_alone_is_a_place_for_a_copy() {
    let to = |bucket: &str, file: &str| {
        let config = laid(&[("S3_BUCKET", bucket)], file).unwrap();
        config.offsite.iter().map(|offsite| offsite.to.clone()).collect::<Vec<_>>()
    };
    assert_eq!(to("vault", ""), ["s3://vault/chronos"]);
    assert_eq!(to("vault/host", ""), ["s3://vault/host"]);
    assert_eq!(to("s3://vault/host?region=eu", ""), ["s3://vault/host?region=eu"]);
    let named = "[[offsite]]\nto = \"s3://vault/chronos\"\nmax_lag = \"2d\"\n";
    assert_eq!(to("vault", named), ["s3://vault/chronos"], "it is named once");
    let sync = "[[schedule]]\nname = \"a\"\ncron = \"0 * * * *\"\njob = \"sync\"\n";
    assert_eq!(to("vault", sync).len(), 1);
    assert!(laid(&[], sync).unwrap_err().to_string().contains("no place for a copy is configured"));
    for bad in ["a b/c", "sftp://host/x"] {
        assert!(laid(&[("S3_BUCKET", bad)], "").unwrap_err().to_string().contains("S3_BUCKET"), "{bad}");
    }
}

#[test]
fn two_that_may_be_meant_are_refused() {
    let two = "[[target.source]]\nname = \"more\"\nkind = \"n8n\"\nurl = \"http://more\"\n";
    let file =
        FILE.replace("[[target]]\nname = \"supabase\"", &format!("{two}[[target]]\nname = \"supabase\""));
    let message = laid(&[("N8N_PROD_URL", "http://new")], &file).unwrap_err().to_string();
    assert!(message.contains("N8N_PROD_URL") && message.contains("which is meant"), "{message}");
}

#[test]
fn schedules_may_name_targets_of_the_environment_and_no_others() {
    let file = "[[schedule]]\nname = \"a\"\ntarget = \"control-plane\"\ncron = \"0 * * * *\"\n";
    laid(&[("N8N_CONTROL_URL", "http://a")], file).unwrap();
    let message = laid(&[("N8N_PROD_URL", "http://a")], file).unwrap_err().to_string();
    assert!(message.contains("no target \"control-plane\""), "{message}");
}
