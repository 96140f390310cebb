//! `GET /diff`: two snapshots, or one and what is there now.

use std::fs;

use chronos_tests::targets::SHOP;
use chronos_tests::{Service, configure};
use serde_json::{Value, json};

use super::workflows::{made, of, rename};
use super::{backed_up, service};

#[track_caller]
fn compared(service: &Service, query: &str) -> Value {
    service.hades().get(&format!("/diff?{query}")).expect(200)
}

/// The paths of one of the lists.
fn paths(answer: &Value, list: &str) -> Vec<String> {
    answer[list].as_array().unwrap().iter().map(|row| row["path"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn two_snapshots_are_compared_json_value_by_value() {
    let service = service(SHOP);
    service.file("dump.sql", "one");
    for (file, text) in
        [("same", "1"), ("gone", "1"), ("text", "1"), ("set.json", r#"{"a": 1, "b": [1, 2]}"#)]
    {
        service.file(&format!("shop/{file}"), text);
    }
    let first = backed_up(&service, "shop");
    fs::remove_file(service.path("shop/gone")).unwrap();
    for (file, text) in [("new", "1"), ("text", "22"), ("set.json", r#"{"a": 1, "b": [1, 3]}"#)] {
        service.file(&format!("shop/{file}"), text);
    }
    let second = backed_up(&service, "shop");
    let at = |file: &str| service.path(file).display().to_string().trim_start_matches('/').to_owned();
    let shop = at("shop");
    let answer = compared(&service, &format!("from={first}&to={second}&path=/{shop}"));
    assert_eq!((&answer["from"], &answer["to"]), (&json!(first), &json!(second)), "{answer}");
    assert_eq!(paths(&answer, "added"), [at("shop/new")]);
    assert_eq!(paths(&answer, "removed"), [at("shop/gone")]);
    assert_eq!(paths(&answer, "changed"), [shop.clone(), at("shop/set.json"), at("shop/text")]);
    assert_eq!(answer["changed"][1]["values"], json!([{"pointer": "/b/1", "before": 2, "after": 3}]));
    assert_eq!(answer["changed"][2]["aspects"], json!(["content", "mtime"]), "{answer}");
    assert_eq!((&answer["count"], &answer["has_more"]), (&json!(5), &json!(false)));
    let some = compared(&service, &format!("from={first}&to={second}&path=/{shop}&limit=2"));
    assert_eq!((&some["count"], &some["has_more"]), (&json!(2), &json!(true)), "{some}");
}

#[test]
fn what_is_too_much_to_be_compared_value_by_value_is_told() {
    let service = service(SHOP);
    service.file("dump.sql", "one");
    let long = |value: &str| format!("[\"{value}\", \"{}\"]", "x".repeat(9 << 20));
    let write =
        |value: &str| ["one", "two"].map(|file| service.file(&format!("shop/{file}.json"), long(value)));
    write("a");
    let first = backed_up(&service, "shop");
    write("b");
    let second = backed_up(&service, "shop");
    let at = |file: &str| service.path(file).display().to_string();
    let both = format!("from={first}&to={second}&path={}", at("shop"));
    let answer = compared(&service, &both);
    let [one, two] = &answer["changed"].as_array().unwrap()[..] else { panic!("{answer}") };
    let changed = json!([{ "pointer": "/0", "before": "a", "after": "b" }]);
    assert_eq!((&one["values"], &one["values_omitted"]), (&changed, &Value::Null));
    assert_eq!((&two["values"], &two["values_omitted"]), (&Value::Null, &json!(true)));
    assert!(
        answer["warnings"].to_string().contains("1 JSON file would be too much"),
        "{}",
        answer["warnings"]
    );
    let named = compared(&service, &format!("from={first}&to={second}&path={}", at("shop/two.json")));
    assert_eq!(named["changed"][0]["values"], changed);
}

#[test]
fn live_files_are_those_that_the_target_takes_now_and_a_dump_is_told() {
    let service = service(&SHOP.replace("paths =", "exclude = [\"*.log\"]\npaths ="));
    service.file("dump.sql", "one");
    service.file("shop/set.json", r#"{"a": 1}"#);
    let id = backed_up(&service, "shop");
    service.file("shop/set.json", r#"{"a": 2}"#);
    service.file("shop/some.log", "not taken");
    let answer = compared(&service, "from=latest:store&to=live");
    assert_eq!((paths(&answer, "added").len(), &answer["to"]), (0, &json!("live")), "{answer}");
    let changed = answer["changed"].as_array().unwrap();
    let set = changed.iter().find(|row| row["values"].is_array()).unwrap();
    assert_eq!(set["values"], json!([{"pointer": "/a", "before": 1, "after": 2}]));
    let told = answer["not_compared"][0].as_str().unwrap();
    assert!(told.contains("source dump") && told.contains("cannot be compared live"), "{told}");
    let turned = compared(&service, &format!("from=live&to={id}"));
    let set = turned["changed"].as_array().unwrap().iter().find(|row| row["values"].is_array()).unwrap();
    assert_eq!(set["values"][0]["before"], 2, "{turned}");
    let refused = |query: &str, status| service.hades().get(&format!("/diff?{query}")).problem(status);
    assert!(refused(&format!("from={id}&to=live&path=shop.sql"), 422).contains("source dump"));
    assert!(refused("from=live&to=live", 422).contains("at least one side"));
    assert!(refused("from=latest", 422).contains("to is missing"));
    assert!(refused("from=latest&to=nothing", 404).contains("nothing"));
    assert!(refused("from=latest&to=live&limit=0", 422).contains("limit"));
}

#[test]
fn live_reads_no_place_that_is_not_configured() {
    let service = service(SHOP);
    service.file("private/key.json", r#"{"k": 1}"#);
    service.program().run(["backup", "private", "--target", "shop"]).expect_code(0);
    service.file("private/key.json", r#"{"k": 2}"#);
    let told = service.hades().get("/diff?from=latest:shop&to=live").problem(422);
    assert!(told.contains("not among the configured places"), "{told}");
    // Whoever sits at the host may.
    let answer = service.program().run(["diff", "latest:shop", "live", "--json"]).expect_code(0).json();
    assert_eq!(answer["changed"].as_array().unwrap().len(), 1, "{answer}");
}

#[test]
fn a_snapshot_of_an_n8n_is_compared_with_its_live_workflows() {
    let server = chronos_tests::n8n("2.40.7");
    let (edited, deleted, same) = (made(&server, "Orders"), made(&server, "Letters"), made(&server, "Same"));
    let service = of(&server, "");
    backed_up(&service, "control-plane");
    let none = compared(&service, "from=latest&to=live");
    assert_eq!((&none["count"], &none["errors"], &none["not_compared"]), (&json!(0), &json!([]), &json!([])));
    rename(&server, &edited, "Orders (new)");
    server.delete(&deleted);
    let new = made(&server, "New");
    let file = |id: &str| format!("flows/workflows/{id}.json");
    let answer = compared(&service, "from=latest&to=live");
    assert_eq!(paths(&answer, "added"), [file(&new)]);
    assert_eq!(paths(&answer, "removed"), [file(&deleted)]);
    assert_eq!(paths(&answer, "changed"), [file(&edited)]);
    let values = answer["changed"][0]["values"].as_array().unwrap();
    let name = values.iter().find(|change| change["pointer"] == "/name").unwrap();
    assert_eq!((&name["before"], &name["after"]), (&json!("Orders"), &json!("Orders (new)")), "{answer}");
    let one = compared(&service, &format!("from=latest&to=live&path={}", file(&same)));
    assert_eq!(one["count"], 0, "{one}");
    let of_command = service.program().run(["diff", "latest", "live", "--json"]).expect_code(0).json();
    assert_eq!(of_command["removed"][0]["path"], file(&deleted), "{of_command}");

    let program = service.killed();
    let file = program.home().join(".config/chronos/chronos.toml");
    let config = fs::read_to_string(&file).unwrap().replace(&server.url(), "http://127.0.0.1:1");
    configure(&program, &config);
    let service = Service::start(program, &[]);
    let told = service.hades().get("/diff?from=latest&to=live").problem(502);
    assert!(told.contains("127.0.0.1:1"), "{told}");
}
