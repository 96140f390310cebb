//! What each section may say.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn source(kind: &str, more: &str) -> String {
    format!("[[target]]\nname = \"a\"\n[[target.source]]\nname = \"b\"\nkind = \"{kind}\"\n{more}\n")
}

fn only(text: &str) -> Source {
    understood(text).unwrap().targets.remove(0).sources.remove(0)
}

#[test]
fn each_kind_of_source_has_its_keys_and_its_component() {
    for (kind, more, component) in [
        (
            "n8n",
            "url = \"http://localhost:5678\"\napi_key = { env = \"KEY\" }\nuser = \"me\"\npassword = \"x\"",
            "workflows",
        ),
        ("n8n", "prefix = [\"docker\", \"exec\", \"n8n\"]\nencrypted_credentials = true", "workflows"),
        ("postgres", "url = { env = \"DATABASE_URL\" }", "database"),
        (
            "postgres",
            "host = \"/run/postgresql\"\nport = 5433\nuser = \"me\"\npassword = { file = \"pg\" }\ndatabases = [\"shop\", \"crm\"]\nglobals = false\nrestore = \"in_place\"\nend_sessions = true",
            "database",
        ),
        ("postgres", "databases = [\"shop\"]\nprefix = [\"docker\", \"exec\", \"db\"]", "database"),
        (
            "sqlite",
            "path = \"bus.db\"\nstop = \"systemctl stop bus\"\nstart = \"systemctl start bus\"",
            "database",
        ),
        ("sqlite", "path = \"bus.db\"\ncomponent = \"agents\"", "agents"),
    ] {
        let read = only(&source(kind, more));
        assert_eq!((read.kind.name(), read.component()), (kind, component), "{more}");
    }
    let read = only(&source("sqlite", "path = \"bus.db\""));
    assert_eq!(read.path.as_deref(), Some(Path::new("/etc/chronos/bus.db")));
    let read = only(&source("postgres", "databases = [\"a\"]\npassword = { file = \"pg\" }"));
    assert_eq!(read.password, Some(SecretRef::File("/etc/chronos/pg".into())));
}

#[test]
fn sources_say_what_they_lack_and_what_is_not_theirs() {
    for (kind, more, part) in [
        ("n8n", "", "url: is missing"),
        ("n8n", "prefix = [\"env\"]\napi_key = \"k\"", "are for an n8n with url"),
        ("n8n", "url = \"http://a\"\nencrypted_credentials = true", "needs `prefix`"),
        ("n8n", "url = \"http://a\"\naddress = \"http://a\"", "address: is for an n8n without url"),
        ("n8n", "prefix = [\"env\"]\naddress = \"a:1\"", "begins with http://"),
        ("n8n", "url = \"localhost:5678\"", "begins with http://"),
        ("n8n", "url = \"http://me:pw@host\"", "keys of their own"),
        ("n8n", "url = \"http://a\"\nuser = \"me\"", "belong together"),
        ("n8n", "url = \"http://a\"\napi_key = \"\"", "api_key: is empty"),
        ("n8n", "url = \"http://a\"\nhost = \"b\"", "host: belongs to kind = \"postgres\""),
        ("postgres", "", "databases: are missing"),
        ("postgres", "url = \"postgres://h/d\"\nport = 5432", "already says"),
        ("postgres", "url = \"http://h/d\"", "postgres://"),
        ("postgres", "databases = [\"\"]", "a name is empty"),
        ("sqlite", "", "path: is missing"),
        ("files", "paths = [\"/a\"]\nurl = \"http://a\"", "belongs to kind = \"n8n\" and \"postgres\""),
        ("command", "", "command: is missing"),
        ("mysql", "", "mysql"),
    ] {
        let message = refused(&source(kind, more));
        assert!(message.contains(part), "{kind} {more}: {message}");
    }
}

#[test]
fn schedules_are_checked_to_the_last_field() {
    let schedule = |more: &str| format!("[[schedule]]\nname = \"nightly\"\n{more}\n");
    let read = understood(&schedule(
        "target = \"a\"\ncron = \"30 2 * * 1-5\"\ntimezone = \"Europe/Berlin\"\njitter = \"10min\"\ntier = \"daily\"\ntype = \"database\"\nenabled = false",
    ));
    let read = read.unwrap().schedules.remove(0);
    assert_eq!(
        (read.job, read.enabled, read.tier.as_deref()),
        (crate::schedule::Job::Backup, false, Some("daily"))
    );
    assert!(
        understood(&schedule("cron = \"0 5 * * *\"\njob = \"cleanup\"")).unwrap().schedules.remove(0).enabled
    );
    for (more, part) in [
        ("", "cron"),
        ("cron = \"61 * * * *\"", "cron"),
        ("cron = \"* * * *\"", "cron"),
        ("cron = \"0 0 * * * *\"", "cron"),
        ("cron = \"0 * * * *\"\ntimezone = \"Mars/Base\"", "timezone"),
        ("cron = \"0 * * * *\"\njitter = \"2d\"", "longer than a day"),
        ("cron = \"0 * * * *\"\njitter = \"5m\"", "jitter"),
        ("cron = \"0 * * * *\"\ntier = \"fortnightly\"", "tier"),
        ("cron = \"0 * * * *\"\njob = \"verify\"\ntier = \"daily\"", "belongs to job"),
        ("cron = \"0 * * * *\"\njob = \"sleep\"", "sleep"),
    ] {
        let message = refused(&schedule(more));
        assert!(message.contains(part), "{more}: {message}");
    }
    let twice = schedule("cron = \"0 * * * *\"");
    assert!(refused(&format!("{twice}{twice}")).contains("two schedules"));
}

#[test]
fn hooks_veto_only_what_has_not_happened() {
    let hook = |more: &str| format!("[[hook]]\n{more}\n");
    let read = understood(&hook(
        "on = [\"before_backup\", \"before_prune\"]\ncommand = \"check\"\ntimeout = \"30s\"\npolicy = \"veto\"",
    ));
    assert_eq!(read.unwrap().hooks.remove(0).policy, HookPolicy::Veto);
    understood(&hook("on = [\"on_failure\"]\nurl = \"http://a/hook\"\ntoken = { env = \"T\" }")).unwrap();
    for (more, part) in [
        ("command = \"x\"", "on: says nothing"),
        ("on = [\"after_backup\"]\ncommand = \"x\"\npolicy = \"veto\"", "nothing is left to be stopped"),
        ("on = [\"after_backup\"]", "one of them"),
        ("on = [\"after_backup\"]\ncommand = \"x\"\nurl = \"http://a\"", "one of them"),
        ("on = [\"after_backup\"]\ncommand = \"x\"\ntoken = \"t\"", "belongs to url"),
        ("on = [\"after_backup\"]\nurl = \"a\"", "url"),
        ("on = [\"after_backup\"]\ncommand = \"x\"\ntimeout = \"0\"", "leaves no time"),
        ("on = [\"after_lunch\"]\ncommand = \"x\"", "after_lunch"),
    ] {
        let message = refused(&hook(more));
        assert!(message.contains(part), "{more}: {message}");
    }
}

#[test]
fn who_is_told_has_an_address() {
    understood("[events]\nurl = \"http://localhost:8099\"\nactions = [\"backup_created\"]\n").unwrap();
    understood("[[notify]]\nname = \"hermes\"\nurl = \"http://a\"\non = [\"failure\", \"overdue\"]\n")
        .unwrap();
    for (text, part) in [
        ("[events]\ntimeout = \"5s\"\n", "events.url"),
        ("[events]\nurl = \"bus\"\n", "events.url"),
        ("[[notify]]\nname = \"a\"\n", "url"),
        ("[[notify]]\nname = \"\"\nurl = \"http://a\"\n", "name"),
        (
            "[[notify]]\nname = \"a\"\nurl = \"http://a\"\nkind = \"ping\"\non = [\"failure\"]\n",
            "after every good backup",
        ),
        ("[[notify]]\nname = \"a\"\nurl = \"http://a\"\non = [\"joy\"]\n", "joy"),
    ] {
        let message = refused(text);
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn the_service_is_open_to_others_only_with_tokens_or_trust() {
    let service = |more: &str| format!("[service]\n{more}\n");
    let read = understood(&service(
        "listen = \"0.0.0.0:8010\"\ntoken_file = \"tokens\"\nnames = [\"backup.example\"]\nbody_max = \"1M\"\nconcurrent_max = 100",
    ));
    assert_eq!(read.unwrap().service.token_file.as_deref(), Some(Path::new("/etc/chronos/tokens")));
    let read =
        understood(&service("listen = \"10.0.0.1:8010\"\ntrusted_networks = [\"10.0.0.0/8\", \"::1\"]"))
            .unwrap();
    assert_eq!(understood(&read.to_toml()).unwrap(), read);
    understood(&service("listen = \"[::1]:8010\"")).unwrap();
    for (more, part) in [
        ("listen = \"0.0.0.0:8010\"", "token_file or trusted_networks"),
        ("listen = \"localhost\"", "listen"),
        ("trusted_networks = [\"10.0.0.0/99\"]", "10.0.0.0/99"),
        ("tls_key = \"/k\"", "belong together"),
        ("names = [\"a b\"]", "no host"),
        ("body_max = \"0\"", "refuse everything"),
        ("concurrent_max = 0", "refuse everything"),
        ("timeout = \"0\"", "no time"),
    ] {
        let message = refused(&service(more));
        assert!(message.contains(part), "{more}: {message}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a file of the test")]
fn a_secret_in_a_file_that_others_read_is_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("chronos.toml");
    std::fs::write(&file, "x").unwrap();
    let with = |more: &str| understood(&source("n8n", &format!("url = \"http://a\"\n{more}"))).unwrap();
    let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    let said = with("api_key = \"s3cr3t\"").warnings(Some(&file));
    assert!(
        said.len() == 1
            && said.iter().all(|s| s.contains("api_key") && s.contains("644") && !s.contains("s3cr3t")),
        "{said:?}"
    );
    assert!(with("api_key = { env = \"KEY\" }").warnings(Some(&file)).is_empty());
    mode(0o600);
    assert!(with("api_key = \"s3cr3t\"").warnings(Some(&file)).is_empty());
}
