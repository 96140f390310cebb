//! How the service begins and ends.

use chronos_tests::{Program, Service};

use super::service;

#[test]
fn it_says_when_it_is_ready_and_answers_health() {
    let service = service();
    let health = service.get("/health").expect(200);
    assert_eq!((&health["status"], &health["agent"]), (&"healthy".into(), &"CHRONOS".into()), "{health}");
    assert_eq!(service.url(), format!("http://127.0.0.1:{}", health["port"]));
    assert_eq!(health["backup_directory"], service.program().repository().to_str().unwrap());
    assert_eq!(health["backup_dir_accessible"], true);
    assert_eq!(health["backups_last_24h"], 0);
    assert_eq!(health["targets"][0]["target"], "shop");
    assert_eq!(health["targets"][0]["overdue"], false);
    assert!(health["timestamp"].as_str().unwrap().ends_with('Z') && health["version"].is_string());
}

#[test]
fn a_term_signal_ends_it_well_and_its_log_is_lines_of_json() {
    let service = service();
    service.get("/health").expect(200);
    service.get("/nothing?token=secret").problem(404);
    service.terminate();
    let (code, log) = service.ended();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("secret"), "{log}");
    let lines: Vec<serde_json::Value> = log.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let request = lines.iter().find(|l| l["path"] == "/health").unwrap();
    assert_eq!(
        (request["status"].as_u64(), request["method"].as_str()),
        (Some(200), Some("GET")),
        "{request}"
    );
    assert!(lines.iter().any(|l| l["message"] == "stopped"), "{log}");
}

#[test]
fn either_service_can_be_served_alone() {
    for (only, other) in [("chronos", "/restore/workflow"), ("hades", "/backup")] {
        let program = Program::with_repository();
        let command = program.command(["serve", "--only", only, "--chronos-listen", "127.0.0.1:0"]);
        let service = Service::of(program, command);
        let health = service.get("/health").expect(200);
        assert_eq!(health["agent"], only.to_uppercase(), "{health}");
        assert_eq!(service.post(other, "{}").status, 404);
    }
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let program = Program::with_repository();
    let ended = program.run(["serve", "--only", "chronos", "--chronos-listen", &address]).expect_code(1);
    assert!(ended.stderr.contains(&address), "{}", ended.stderr);
}

#[test]
fn without_a_repository_it_is_unhealthy_until_there_is_one() {
    let service = Service::start(Program::new(), &[]);
    let health = service.get("/health").expect(503);
    assert_eq!((&health["status"], &health["backup_dir_accessible"]), (&"unhealthy".into(), &false.into()));
    service.program().run(["init"]).expect_code(0);
    assert_eq!(service.get("/health").expect(200)["status"], "healthy");
}

#[test]
fn systemd_is_told_when_it_is_ready_alive_and_stopping() {
    let program = Program::with_repository();
    let path = program.home().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let mut command = program.command(["serve", "--chronos-listen", "127.0.0.1:0"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let service = Service::of(program, command);
    let mut told = Vec::new();
    let next = || {
        let mut bytes = [0; 100];
        let n = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..n]).trim().to_owned()
    };
    while told.len() < 4 {
        told.push(next());
    }
    assert!(told.contains(&"READY=1".to_owned()), "{told:?}");
    assert!(told.iter().filter(|t| *t == "WATCHDOG=1").count() >= 2, "{told:?}");
    service.terminate();
    while next() != "STOPPING=1" {}
    assert_eq!(service.ended().0, Some(0));
}
