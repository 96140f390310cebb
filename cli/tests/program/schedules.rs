//! `chronos schedule`: listed, added, switched and removed, without a service and before there is a repository.

use crate::support::Home;

#[test]
fn schedules_are_added_listed_switched_and_removed() {
    let home = Home::new();
    let added = home
        .run(["schedule", "add", "nightly", "--cron", "30 2 * * *", "--tier", "daily", "--json"])
        .code(0)
        .json();
    assert_eq!(
        (added["status"].as_str(), added["schedule"]["tier"].as_str()),
        (Some("added"), Some("daily"))
    );
    let next = added["schedule"]["next_run"].as_str().unwrap();
    assert!(next.ends_with("T02:30:00Z"), "{next}");
    let shown = home.run(["schedule", "list"]).code(0).stdout;
    assert!(shown.contains("NAME") && shown.contains("nightly") && shown.contains("30 2 * * *"), "{shown}");
    home.run(["schedule", "disable", "nightly"]).code(0);
    home.run(["schedule", "disable", "cleanup"]).code(0);
    let rows = home.run(["schedule", "list", "--json"]).code(0).json();
    let rows = rows.as_array().unwrap();
    let off: Vec<&str> =
        rows.iter().filter(|r| r["enabled"] == false).map(|r| r["id"].as_str().unwrap()).collect();
    assert_eq!(off, ["cleanup", "nightly"]);
    assert!(rows.iter().all(|r| r["next_run"].is_null() == (r["enabled"] == false)));
    home.run(["schedule", "enable", "cleanup"]).code(0);
    home.run(["schedule", "remove", "nightly"]).code(0);
    assert!(!home.run(["schedule", "list"]).code(0).stdout.contains("nightly"));
    assert!(!home.repository().exists());
}

#[test]
fn what_cannot_be_names_the_way_out() {
    let home = Home::new();
    let add = |args: &[&str]| home.run([&["schedule", "add"][..], args].concat());
    add(&["--cron", "0 0 30 2 *"]).code(2).says("never comes");
    add(&["--cron", "@daily", "--timezone", "Berlin"]).code(2).says("Europe/Berlin");
    add(&["--cron", "@daily", "--target", "shop"]).code(2).says("none is configured");
    add(&["x", "--cron", "@daily"]).code(0);
    add(&["x", "--cron", "@daily"]).code(1).says("chronos schedule remove");
    home.run(["schedule", "remove", "y"]).code(1).says("chronos schedule list");
    home.run(["schedule", "remove", "cleanup"]).code(1).says("chronos schedule disable");
}
