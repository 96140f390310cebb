//! Who is let in.

use chronos_tests::{Program, Service};

/// A service beyond loopback, with a token of each role.
fn service() -> (Service, Vec<String>) {
    let program = Program::with_repository();
    let file = program.home().join("tokens");
    let file = file.to_str().unwrap();
    let tokens = ["read", "backup", "restore", "admin"].map(|role| {
        let made = program.run(["tokens", "add", role, "--role", role, "--token-file", file]).expect_code(0);
        made.stdout.trim().to_owned()
    });
    let service = Service::start(program, &["--token-file", file]);
    (service, tokens.to_vec())
}

#[test]
fn an_address_beyond_loopback_needs_a_token_file() {
    let program = Program::with_repository();
    let ended = program.run(["serve", "--chronos-listen", "0.0.0.0:0"]).expect_code(2);
    assert!(ended.stderr.contains("--token-file"), "{}", ended.stderr);
}

#[test]
fn callers_of_a_trusted_network_need_no_token() {
    let program = Program::with_repository();
    let service = Service::start(program, &["--trusted-network", "127.0.0.0/8"]);
    service.get("/health").expect(200);
    service.call("GET", "/health", &[("x-forwarded-for", "127.0.0.1")], "").problem(401);
}

#[test]
fn callers_through_a_proxy_need_a_token_and_those_of_this_host_do_not() {
    let (service, tokens) = service();
    service.get("/health").expect(200);
    let proxied = ("x-forwarded-for", "192.0.2.1");
    let answer = service.call("GET", "/health", &[proxied], "");
    assert!(answer.problem(401).contains("Bearer"));
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"chronos\""));
    for token in &tokens {
        let bearer = format!("Bearer {token}");
        service.call("GET", "/health", &[proxied, ("authorization", &bearer)], "").expect(200);
    }
    service.call("GET", "/health", &[("authorization", "Basic abc")], "").problem(401);
    let log = service.log();
    assert!(tokens.iter().all(|t| !log.contains(t)), "{log}");
}

#[test]
fn a_role_allows_what_it_is_for_and_nothing_beyond() {
    let (service, tokens) = service();
    let statuses = |method: &str, path: &str| -> Vec<bool> {
        let allowed = tokens.iter().map(|token| {
            let bearer = format!("Bearer {token}");
            service.call(method, path, &[("authorization", &bearer)], "").status != 403
        });
        allowed.collect()
    };
    for (method, path) in [("GET", "/backups"), ("GET", "/metrics"), ("GET", "/list"), ("GET", "/backups/x")]
    {
        assert_eq!(statuses(method, path), [true; 4], "{method} {path}");
    }
    for (method, path) in [
        ("POST", "/backup"),
        ("POST", "/backup/pre-deploy"),
        ("POST", "/verify"),
        ("GET", "/verify/x"),
        ("POST", "/backups/x/hold"),
    ] {
        assert_eq!(statuses(method, path), [false, true, true, true], "{method} {path}");
    }
    for (method, path) in [("POST", "/cleanup"), ("DELETE", "/backups/x"), ("DELETE", "/backups/x/hold")] {
        assert_eq!(statuses(method, path), [false, false, false, true], "{method} {path}");
    }
}

#[test]
fn whoever_guesses_tokens_has_to_wait() {
    let (service, tokens) = service();
    let guess = |token: &str| {
        service.call("GET", "/health", &[("authorization", &format!("Bearer {token}"))], "").status
    };
    let statuses: Vec<u16> = (0..12).map(|n| guess(&format!("chronos_{n}"))).collect();
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[10..], [429; 2]);
    assert_eq!(guess(&tokens[3]), 429, "the right one too: else guessing would go on");
    service.get("/health").expect(200);
}

#[test]
fn a_token_that_is_taken_out_is_let_in_no_more() {
    let (service, tokens) = service();
    let bearer = format!("Bearer {}", tokens[0]);
    service.call("GET", "/health", &[("authorization", &bearer)], "").expect(200);
    service.file("tokens", "");
    service.call("GET", "/health", &[("authorization", &bearer)], "").problem(401);
}
