//! The workflows and credentials of a real n8n on trial.

use serde_json::json;

use super::*;

#[test]
fn stored_workflows_pass_and_credentials_that_the_stored_key_does_not_open_fail() {
    let server = chronos_tests::n8n("2.8.4");
    let furnished = crate::n8n::workflows::furnish(&server);
    let targets = "[[target]]\nname = \"flows\"\npaths = [\"HOME/.n8n\"]\n[[target.source]]\nname = \"n8n\"\nkind = \"n8n\"\n\
        prefix = [\"env\", \"PATH=HOME:/usr/bin:/bin\"]\nencrypted_credentials = true\n";
    let stage = Stage::new("", targets);
    server.install_command(stage.program.home());
    let key = |key: &str| {
        fs::create_dir_all(stage.path(".n8n")).unwrap();
        fs::write(stage.path(".n8n/config"), json!({ "encryptionKey": key }).to_string()).unwrap();
        stage.back_up("flows");
    };
    key("key-of-the-tests-0123456789abcdef");
    let drilled = stage.drill("flows", 0);
    let proven = drilled["sources"].to_string();
    assert!(proven.contains("credentials open with the key in"), "{proven}");
    assert!(proven.contains(&format!("{} workflows with", furnished.ids.len())), "{proven}");
    assert!(!drilled.to_string().contains("key-of-the-tests"), "keys are not told");
    assert_eq!(stage.proven_at("flows"), drilled["proven_at"]);

    key("another-key");
    let drilled = stage.drill("flows", 4);
    let said = errors(&drilled);
    assert!(said.contains("cannot be decrypted") && said.contains(&furnished.credential), "{said}");
    assert!(!said.contains("another-key"), "{said}");
}

/// Two n8n: the live one of a target, and a scratch one.
fn with_scratch(live: &chronos_tests::N8n, url: &str, key: &str) -> Stage {
    let targets = format!(
        "[[target]]\nname = \"flows\"\n[[target.source]]\nname = \"n8n\"\nkind = \"n8n\"\nurl = \"{}\"\napi_key = \"{}\"\n",
        live.url(),
        live.key
    );
    Stage::new(&format!("n8n_url = \"{url}\"\nn8n_api_key = \"{key}\""), &targets)
}

#[test]
fn workflows_are_imported_into_a_scratch_n8n_that_is_nobody_s() {
    let live = chronos_tests::n8n("1.123.81");
    let scratch = chronos_tests::n8n("2.8.4");
    let furnished = crate::n8n::workflows::furnish(&live);
    scratch.clear();
    let stage = with_scratch(&live, &scratch.url(), &scratch.key);
    stage.back_up("flows");
    let drilled = stage.drill("flows", 0);
    let proven = drilled["sources"].to_string();
    assert!(proven.contains(&format!("{} workflows imported", furnished.ids.len())), "{proven}");
    assert_eq!(scratch.ids(), Vec::<String>::new());

    // Whatever its address is: what holds something of somebody's is no scratch n8n.
    let id = scratch.call("POST", "workflows", Some(&chronos_tests::hourly("somebody's")))["id"].clone();
    let drilled = stage.drill("flows", 3);
    assert!(errors(&drilled).contains("no scratch n8n, and was left alone"), "{drilled}");
    assert_eq!(scratch.ids(), [id.as_str().unwrap()]);
}

#[test]
fn a_live_n8n_is_never_taken_for_a_scratch_one() {
    let live = chronos_tests::n8n("1.123.81");
    live.clear();
    // It holds nothing, so that its address alone tells.
    let id = live.call("POST", "workflows", Some(&chronos_tests::hourly("live")))["id"].clone();
    let other_name = live.url().replace("127.0.0.1", "localhost");
    assert_ne!(other_name, live.url());
    let stage = with_scratch(&live, &other_name, &live.key);
    stage.back_up("flows");
    live.delete(id.as_str().unwrap());
    let drilled = stage.drill("flows", 3);
    assert!(
        errors(&drilled).contains("is the n8n of target flows, which a drill never touches"),
        "{drilled}"
    );
    assert_eq!((live.ids(), &drilled["status"]), (Vec::new(), &json!("partial")));
}

#[test]
fn an_n8n_that_is_reached_by_its_command_line_is_never_taken_for_a_scratch_one() {
    let live = chronos_tests::n8n("1.123.81");
    let scratch = chronos_tests::n8n("2.8.4");
    let id = live.call("POST", "workflows", Some(&chronos_tests::hourly("live")))["id"].clone();
    let targets = |address: &str| {
        format!(
            "[[target]]\nname = \"flows\"\n[[target.source]]\nname = \"n8n\"\nkind = \"n8n\"\n\
             prefix = [\"env\", \"PATH=HOME:/usr/bin:/bin\"]\n{address}"
        )
    };
    let into = |server: &chronos_tests::N8n| {
        format!("n8n_url = \"{}\"\nn8n_api_key = \"{}\"\n", server.url(), server.key)
    };
    let stage = Stage::new(&into(&live), &targets(""));
    live.install_command(stage.program.home());
    stage.back_up("flows");
    // It holds nothing, and its address stands nowhere.
    live.delete(id.as_str().unwrap());
    let drilled = stage.drill("flows", 3);
    assert!(not_tried(&drilled).contains("say as its `address` where it answers"), "{drilled}");
    let address = format!("address = \"{}\"\n", live.url().replace("127.0.0.1", "localhost"));
    stage.configure(&into(&live), &targets(&address));
    let drilled = stage.drill("flows", 3);
    assert!(
        not_tried(&drilled).contains("is the n8n of target flows, which a drill never touches"),
        "{drilled}"
    );
    assert_eq!(live.ids(), Vec::<String>::new());
    // Another one is known to be another.
    stage.configure(&into(&scratch), &targets(&address));
    let drilled = stage.drill("flows", 0);
    assert!(drilled["sources"].to_string().contains("1 workflow imported"), "{drilled}");
}
