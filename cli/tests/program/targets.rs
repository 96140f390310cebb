//! Configured targets: which of their sources are taken, explained, and restored.

use crate::support::Home;

/// A home with a target of files, a dump and a folder of configuration.
fn shop() -> Home {
    let home = Home::new();
    home.file("srv/page.html", b"page");
    home.file("srv/cache.tmp", b"cache");
    home.file("settings/app.yaml", b"a: 1");
    let text = format!(
        "[[target]]\nname = \"shop\"\naliases = [\"store\"]\npaths = [\"{srv}\"]\nexclude = [\"*.tmp\"]\n\
         [[target.source]]\nname = \"dump\"\nkind = \"command\"\ncomponent = \"database\"\ncommand = \"echo select\"\n\
         filename = \"shop.sql\"\n\
         [[target.source]]\nname = \"conf\"\ncomponent = \"config\"\npaths = [\"{settings}\"]\n",
        srv = home.path("srv").display(),
        settings = home.path("settings").display(),
    );
    home.file(".config/chronos/chronos.toml", text.as_bytes());
    home
}

/// The files below a folder, by name.
fn names(home: &Home, folder: &str) -> Vec<String> {
    let args = ["-type", "f", "-printf", "%f\n"];
    let list = std::process::Command::new("find").arg(home.path(folder)).args(args).output().unwrap();
    let text = String::from_utf8(list.stdout).unwrap();
    let mut names: Vec<String> = text.lines().map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn a_component_is_a_kind_of_source_a_source_a_target_or_a_module() {
    let home = shop();
    home.run(["backup", "--target", "shop"]).code(0);
    let all = ["app.yaml", "page.html", "shop.sql"];
    for (component, wanted) in [
        ("database", &all[2..]),
        ("dump", &all[2..]),
        ("config", &all[..1]),
        ("conf", &all[..1]),
        ("files", &all[1..2]),
        ("page.html", &all[1..2]),
        ("shop", &all[..]),
        ("store", &all[..]),
    ] {
        let to = format!("out-{component}");
        home.run(["restore", "latest:shop", "--component", component, "--to", &to]).code(0);
        assert_eq!(names(&home, &to), wanted, "{component}");
    }
    let args = ["restore", "latest:shop", "--component", "workflows", "--to", "none"];
    home.run(args).code(2).says("it has conf, config, database, dump, files, shop");
}

#[test]
fn a_type_takes_some_of_the_sources_and_is_no_substitute_for_all() {
    let home = shop();
    home.run(["backup", "--target", "shop"]).code(0);
    let answer = home.run(["backup", "--target", "shop", "--type", "database", "--json"]).code(0).json();
    let id = answer["backup_id"].as_str().unwrap();
    home.run(["restore", id, "--to", "part"]).code(0);
    assert_eq!(names(&home, "part"), ["shop.sql"]);
    home.run(["restore", "latest:shop", "--to", "all"]).code(0);
    assert_eq!(names(&home, "all").len(), 3);
    home.run(["backup", "--target", "shop", "--type", "workflows"]).code(2).says("nothing of type workflows");
}

#[test]
fn explain_knows_the_rules_of_a_configured_target() {
    let home = shop();
    let tmp = home.path("srv/cache.tmp").display().to_string();
    let page = home.path("srv/page.html").display().to_string();
    let yaml = home.path("settings/app.yaml").display().to_string();
    let args =
        ["backup", "--target", "shop", "--json", "--explain", &tmp, "--explain", &page, "--explain", &yaml];
    let answers = home.run(args).code(0).json();
    let included: Vec<bool> =
        answers.as_array().unwrap().iter().map(|a| a["included"].as_bool().unwrap()).collect();
    assert_eq!(included, [false, true, true], "{answers}");
    assert!(answers[0]["reason"].as_str().unwrap().contains("*.tmp"), "{answers}");
    assert!(!home.repository().exists());
}

#[test]
fn a_project_keeps_to_its_limits_after_every_backup() {
    let home = Home::new();
    home.file("app/main.py", b"1");
    let text = format!(
        "[[target]]\nname = \"app\"\npreset = \"project\"\nmax_backups = 2\npaths = [\"{}\"]\n",
        home.path("app").display()
    );
    home.file(".config/chronos/chronos.toml", text.as_bytes());
    for day in 1..=4 {
        let time = format!("2026-01-0{day}");
        home.file("app/main.py", time.as_bytes());
        home.run(["backup", "--target", "app", "--time", &time]).code(0);
    }
    assert_eq!(home.snapshots(), ["app_manual_20260104_000000"], "30 days is a limit too");
    for content in ["2", "3", "4"] {
        home.file("app/main.py", content.as_bytes());
        home.run(["backup", "--target", "app"]).code(0);
    }
    assert_eq!(home.snapshots().len(), 2);
}

#[test]
fn what_cannot_be_there_is_refused_and_an_empty_backup_is_told() {
    let home = Home::with_snapshot();
    home.run(["backup", "data", "--module", "sub"]).code(0);
    home.run(["backup", "data", "--module", "sbu"]).code(1).says("module \"sbu\" not found");
    home.run(["backup", "data", "--include", "nothing"]).code(0).says("not one file");
    home.run(["backup", "--command", "echo half; false"]).code(1).says("no snapshot was made");
}
