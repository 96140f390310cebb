//! Where secrets are found, and that nothing of them is told.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use super::*;

#[derive(Debug, Deserialize, Serialize)]
struct Holder {
    key: SecretRef,
}

fn parsed(text: &str) -> std::result::Result<SecretRef, String> {
    toml::from_str::<Holder>(text).map(|h| h.key).map_err(|e| e.message().to_owned())
}

fn nothing(_: &str) -> Option<String> {
    None
}

#[test]
fn a_secret_is_read_from_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("token"), "from a file\r\nmore").unwrap();
    let folder = dir.path().to_string_lossy().into_owned();
    let get = |name: &str| match name {
        "KEY" => Some("from a variable".to_owned()),
        "CREDENTIALS_DIRECTORY" => Some(folder.clone()),
        _ => None,
    };
    let value = |text: &str| parsed(text).unwrap().resolve(&get).unwrap().reveal().to_owned();
    assert_eq!(value("key = \"itself\""), "itself");
    assert_eq!(value("key = { env = \"KEY\" }"), "from a variable");
    assert_eq!(value(&format!("key = {{ file = \"{folder}/token\" }}")), "from a file");
    assert_eq!(value("key = { credential = \"token\" }"), "from a file");
    assert_eq!(value("[key]\ncommand = \"echo 'from a command'; echo more\"\n"), "from a command");
}

#[test]
fn what_is_not_there_is_named_by_its_place() {
    for (reference, part) in [
        (SecretRef::Env("NO_KEY".into()), "NO_KEY"),
        (SecretRef::File("/no/such/file".into()), "/no/such/file"),
        (SecretRef::Command("exit 3".into()), "exit 3"),
        (SecretRef::Credential("token".into()), "CREDENTIALS_DIRECTORY"),
        (SecretRef::Command("true".into()), "first line is empty"),
    ] {
        let message = reference.resolve(&nothing).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn nothing_of_a_secret_is_shown() {
    let holder = Holder { key: parsed("key = \"s3cr3t\"").unwrap() };
    assert!(!format!("{holder:?}").contains("s3cr3t"));
    assert_eq!(toml::to_string(&holder).unwrap(), "key = \"…\"\n");
    assert_eq!(serde_json::to_string(&holder).unwrap(), "{\"key\":\"…\"}");
    for text in
        ["key = 424242", "key = 42.4242", "key = { env = 424242 }", "key = { env = \"X\", more = 424242 }"]
    {
        let message = parsed(text).unwrap_err();
        assert!(message.contains("env") && !message.contains("4242"), "{message}");
    }
    for text in ["key = true", "key = {}", "key = []", "key = 1979-05-27"] {
        assert!(!parsed(text).unwrap_err().is_empty());
    }
    assert!(parsed("key = { flie = \"x\" }").unwrap_err().contains("did you mean file?"));
}

#[test]
fn references_read_back_as_they_were_written() {
    for text in
        ["{ env = \"A\" }", "{ file = \"/a b\" }", "{ command = \"pass x\" }", "{ credential = \"c\" }"]
    {
        let reference = parsed(&format!("key = {text}")).unwrap();
        let again = toml::to_string(&Holder { key: reference.clone() }).unwrap();
        assert_eq!(parsed(&again).unwrap(), reference);
    }
}

#[test]
fn references_to_nothing_are_seen() {
    for text in [
        "\"\"",
        "{ env = \"\" }",
        "{ env = \"A=B\" }",
        "{ file = \"\" }",
        "{ command = \" \" }",
        "{ credential = \"../x\" }",
    ] {
        assert!(parsed(&format!("key = {text}")).unwrap().wrong().is_some(), "{text}");
    }
    assert_eq!(parsed("key = { credential = \"token\" }").unwrap().wrong(), None);
}

#[test]
fn addresses_are_shown_without_their_passwords() {
    for (address, shown) in [
        ("http://localhost:5678/base", "http://localhost:5678/base"),
        ("postgres://me@db:5432/shop?sslmode=require", "postgres://me@db:5432/shop?sslmode=require"),
        ("postgres://me:s3cr3t@db/shop", "postgres://me:…@db/shop"),
        ("postgres://me:s3@cr3t@db/shop", "postgres://me:…@db/shop"),
        ("postgres://me:s3/cr3t@db/shop", "…"),
        ("postgres://me:s3?cr3t@db/shop", "…"),
        ("postgres://db/shop?user=me&password=s3cr3t", "postgres://db/shop?…"),
        ("postgres://db/shop?sslpassword=s3cr3t", "postgres://db/shop?…"),
        ("host=db password=s3cr3t", "…"),
        ("", "…"),
    ] {
        assert_eq!(without_password(address), shown);
    }
}

#[test]
fn of_the_address_of_a_webhook_only_the_server_is_shown() {
    for (address, shown) in [
        ("https://hooks.example/services/T0/s3cr3t", "https://hooks.example/…"),
        ("http://localhost:8099?key=s3cr3t", "http://localhost:8099/…"),
        ("https://hooks.example/", "https://hooks.example/"),
        ("https://hooks.example", "https://hooks.example"),
        ("https://me:s3cr3t@hooks.example/x", "https://me:…@hooks.example/…"),
        ("s3cr3t", "…"),
    ] {
        assert_eq!(server_of(address), shown);
    }
}
