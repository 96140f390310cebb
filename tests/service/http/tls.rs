//! TLS by files: a real request over it, and what is said of files that are none.

use std::process::Command;

use chronos_tests::{Program, Service, configure};

/// Who is certified: this host's loopback address.
const REQUEST: &str = "[req]\ndistinguished_name = name\nx509_extensions = more\nprompt = no\n[name]\nCN = localhost\n\
    [more]\nbasicConstraints = critical,CA:FALSE\nsubjectAltName = IP:127.0.0.1,DNS:localhost\n";

/// A home with a certificate and its key, and the key of somebody else.
fn home(config: &str) -> Program {
    let program = Program::with_repository();
    let place = |name: &str| program.home().join(name);
    std::fs::write(place("request"), REQUEST).unwrap();
    for (certificate, key) in [("certificate.pem", "key.pem"), ("other.pem", "other-key.pem")] {
        let mut made = Command::new("openssl");
        made.args([
            "req",
            "-x509",
            "-nodes",
            "-days",
            "2",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ]);
        made.arg("-config")
            .arg(place("request"))
            .arg("-out")
            .arg(place(certificate))
            .arg("-keyout")
            .arg(place(key));
        let made = made.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    configure(&program, config);
    program
}

#[test]
fn callers_who_know_the_certificate_are_answered_over_tls() {
    let config = "[service]\ntls_certificate = \"HOME/certificate.pem\"\ntls_key = \"HOME/key.pem\"\n";
    let service = Service::start(home(config), &[]);
    assert!(service.url().starts_with("https://"), "{}", service.url());
    let pem = std::fs::read(service.path("certificate.pem")).unwrap();
    let known = reqwest::Certificate::from_pem(&pem).unwrap();
    let client = reqwest::blocking::Client::builder().no_proxy().tls_certs_only([known]).build().unwrap();
    let health = client.get(format!("{}/health", service.url())).send().unwrap();
    assert_eq!(health.status(), 200);
    assert!(health.text().unwrap().contains("\"healthy\""));
    let page =
        client.get(format!("{}/backups", service.url())).header("origin", service.url()).send().unwrap();
    assert_eq!(page.status(), 200, "its own pages may ask");

    let pem = std::fs::read(service.path("other.pem")).unwrap();
    let other = reqwest::Certificate::from_pem(&pem).unwrap();
    let stranger = reqwest::blocking::Client::builder().no_proxy().tls_certs_only([other]).build().unwrap();
    assert!(stranger.get(format!("{}/health", service.url())).send().is_err());
    let plain = service.url().replace("https://", "http://");
    assert!(client.get(format!("{plain}/health")).send().is_err(), "nothing is told without TLS");
    service.terminate();
    assert_eq!(service.ended().0, Some(0));
}

#[test]
fn files_that_are_no_certificate_or_key_are_named() {
    for (certificate, key, said) in [
        ("missing.pem", "key.pem", "missing.pem cannot be read"),
        ("request", "key.pem", "request holds no certificate"),
        ("certificate.pem", "certificate.pem", "certificate.pem holds no private key"),
        ("certificate.pem", "missing.pem", "missing.pem cannot be read"),
        ("certificate.pem", "other-key.pem", "other-key.pem does not go with"),
    ] {
        let config =
            format!("[service]\ntls_certificate = \"HOME/{certificate}\"\ntls_key = \"HOME/{key}\"\n");
        let ended = home(&config).run(["serve", "--chronos-listen", "127.0.0.1:0"]).expect_code(2);
        assert!(ended.stderr.contains(said), "{certificate}, {key}: {}", ended.stderr);
    }
}
