//! What is refused: unknown keys, values outside their limits, what does nothing yet; all at once, and with lines.

use super::{Config, refused};

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one_and_its_line() {
    let message = refused("[[target]]\nname = \"a\"\npaths = [\"/a\"]\nexlude = [\"b\"]\n");
    assert!(message.contains("target.exlude") && message.contains("target.exclude"), "{message}");
    assert!(message.contains("chronos.toml, line 4:"), "{message}");
    assert!(refused("[repositry]\n").contains("repository"));
    assert!(refused("[retention]\ndayly = { count = 1 }\n").contains("retention.daily"));
    assert!(refused("[retention]\ndaily = { cuont = 1 }\n").contains("retention.daily.count"));
    let source =
        "[[target]]\nname = \"a\"\n[[target.source]]\nname = \"b\"\nkind = \"n8n\"\nulr = \"http://a\"\n";
    assert!(refused(source).contains("target.source.ulr: did you mean target.source.url"));
    for (text, hint) in [
        ("[[schedule]]\ncorn = \"0 * * * *\"\n", "schedule.cron"),
        ("[[hook]]\npolcy = \"veto\"\n", "hook.policy"),
        ("[[notify]]\nulr = \"http://a\"\n", "notify.url"),
        ("[events]\nulr = \"http://a\"\n", "events.url"),
        ("[service]\nlisten_at = \"x\"\n", "service.listen"),
    ] {
        assert!(refused(text).contains(&format!("did you mean {hint}?")), "{text}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let text = "[limits]\nupload = \"fast\"\ndownlaod = \"1M\"\n\n[[target]]\nname = \"A\"\npaths = [\"/a\"]\n\n\
                [[target]]\nname = \"b\"\n[[target.source]]\nname = \"c\"\nkind = \"sqlite\"\ncommand = \"x\"\n";
    let message = refused(text);
    for part in [
        "line 2: limits.upload",
        "line 3: unknown key limits.downlaod",
        "line 6: target \"A\": name",
        "line 14: target \"b\": source \"c\": command: belongs to kind = \"command\"",
        "target \"b\": source \"c\": path: is missing",
        "5 things are wrong",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
}

#[test]
fn places_that_lead_nowhere_are_refused() {
    assert!(refused("[repository]\nlocation = \"ftp://host/x\"\n").contains("only paths, s3://"));
    let offsite =
        |more: &str| refused(&format!("[repository]\nlocation = \"/srv/b\"\n[[offsite]]\n{more}\n"));
    assert!(
        offsite("to = \"ftp://host/x\"").contains("to: ")
            && offsite("to = \"ftp://host/x\"").contains("only paths, s3://")
    );
    assert!(offsite("").contains("to: is missing"));
    assert!(offsite("to = \"/srv/b\"").contains("is the repository itself"));
    assert!(offsite("to = \"/a\"\n[[offsite]]\nto = \"/a\"").contains("is named twice"));
    assert!(offsite("to = \"/a\"\nmax_lag = \"0\"").contains("max_lag: 0 leaves no time"));
    assert!(offsite("to = \"/a\"\ndelete_after = \"soon\"").contains("delete_after"));
    let sync = "[[schedule]]\nname = \"a\"\ncron = \"0 * * * *\"\njob = \"sync\"\ntarget = \"x\"\n";
    assert!(refused(sync).contains("target: belongs to other jobs"));
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
    let source = "[[target]]\nname = \"a\"\n[[target.source]]\nname = \"b\"\n";
    let limit = |more: &str| refused(&format!("{source}{more}"));
    let command = "kind = \"command\"\ncommand = \"x\"\n";
    assert!(limit(&format!("{command}time_limit = \"0s\"\n")).contains("time_limit: 0 leaves no time"));
    assert!(limit(&format!("{command}time_limit = \"10m\"\n")).contains("such as 30s, 10min"));
    assert!(limit("paths = [\"/a\"]\ntime_limit = \"1h\"\n").contains("time_limit: belongs to kind"));
    assert!(refused("not toml").contains("chronos.toml, line 1"));
    assert!(refused("[limits]\n\nupload = 5\n").contains("line 3"));
}

#[test]
fn no_line_of_the_file_and_no_secret_stands_in_an_error() {
    let source = |more: &str| {
        format!(
            "[[target]]\nname = \"a\"\n[[target.source]]\nname = \"b\"\nkind = \"n8n\"\nurl = \"http://a\"\n{more}\n"
        )
    };
    for more in [
        "api_key = \"s3cr3t",
        "api_key = 's3cr3t' x",
        "api_key = [\"s3cr3t\"]",
        "api_key = { env = [\"s3cr3t\"] }",
        "password = \"s3cr3t\"",
        "api_key = \"s3cr3t\"\napi_key = \"s3cr3t\"",
        "api_key = \"s3cr3t\"\nmin_files = -1",
        "api_key = \"s3cr3t\"\nurl_ = 1",
    ] {
        let message = refused(&source(more));
        assert!(!message.contains("s3cr3t"), "{message}");
    }
    let shown = Config::parse(&source("api_key = \"s3cr3t\""), std::path::Path::new("/c")).unwrap();
    assert!(!format!("{shown:?}").contains("s3cr3t") && !shown.to_toml().contains("s3cr3t"));
    let postgres = source("").replace("n8n", "postgres").replace("http://a", "s3cr3t://x:s3cr3t@h/d");
    assert!(!refused(&postgres).contains("s3cr3t"));
}
