//! What is found and what is written of it.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::net::TcpListener;

use super::*;
use crate::config::{Config, SourceKind};

const PATH: &str = "/etc/chronos/chronos.toml";

/// Answers one request with this; the address is its own.
fn answering(body: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 512];
        let n = stream.read(&mut asked).unwrap();
        assert!(n > 0);
        stream.write_all(format!("HTTP/1.0 200 OK\r\n\r\n{body}").as_bytes()).unwrap();
    });
    at
}

/// An address where nothing listens.
fn silent() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn host() -> Host {
    Host { n8n: silent(), n8n_folder: None, postgres: silent(), sockets: Vec::new(), has_database_url: false }
}

#[test]
fn an_n8n_is_known_by_its_answer() {
    let n8n = answering("{\"status\": \"ok\"}");
    assert_eq!(look(&Host { n8n, ..host() }, Vec::new()).n8n, Some(format!("http://{n8n}")));
    let other = answering("<html>hello</html>");
    assert_eq!(look(&Host { n8n: other, ..host() }, Vec::new()), Found::default());
}

#[test]
fn a_postgres_is_known_by_its_variable_its_socket_or_its_port() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let postgres = listener.local_addr().unwrap();
    let found = |host: Host| look(&host, Vec::new()).postgres;
    assert_eq!(found(Host { postgres, ..host() }), Some(Postgres::At(postgres)));
    let dir = tempfile::tempdir().unwrap();
    let at = silent();
    std::fs::write(dir.path().join(format!(".s.PGSQL.{}", at.port())), "").unwrap();
    let sockets = vec![dir.path().to_owned()];
    let with_socket = Host { postgres: at, sockets, ..host() };
    assert_eq!(found(with_socket.clone()), Some(Postgres::Socket(dir.path().to_owned())));
    assert_eq!(found(Host { has_database_url: true, ..with_socket }), Some(Postgres::Url));
}

#[test]
fn what_is_found_is_written_so_that_it_is_understood() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["config", "database.sqlite"] {
        std::fs::write(dir.path().join(name), "").unwrap();
    }
    let mut found = look(
        &Host { n8n_folder: Some(dir.path().to_owned()), ..host() },
        vec!["/a \"b\".db".into(), "/c".into()],
    );
    found.n8n = Some("http://127.0.0.1:5678".to_owned());
    for postgres in [
        Postgres::Url,
        Postgres::Socket("/run/postgresql".into()),
        Postgres::At("127.0.0.1:5432".parse().unwrap()),
    ] {
        found.postgres = Some(postgres);
        let config = Config::parse(&file(&found), Path::new(PATH)).unwrap();
        let of = |name: &str| -> Vec<SourceKind> {
            config.target(name).unwrap().sources.iter().map(|s| s.kind).collect()
        };
        assert_eq!(of("control-plane"), [SourceKind::N8n, SourceKind::Files, SourceKind::Sqlite]);
        assert_eq!(
            (of("supabase"), of("sqlite").len(), of("sqlite-2").len()),
            (vec![SourceKind::Postgres], 1, 1)
        );
    }
}

#[test]
fn the_template_is_good_as_it_is_and_with_everything_switched_on() {
    assert_eq!(file(&Found::default()), TEMPLATE);
    assert_eq!(Config::parse(TEMPLATE, Path::new(PATH)).unwrap(), Config::default());
    let is_setting = |l: &&str| l.contains(" = ") || l.starts_with('[');
    let on: Vec<&str> =
        TEMPLATE.lines().filter_map(|l| Some(l.strip_prefix("# ").unwrap_or(l)).filter(is_setting)).collect();
    let config = Config::parse(&on.join("\n"), Path::new(PATH)).unwrap();
    assert_eq!((config.targets.len(), config.retention.len()), (1, 4));
    assert_eq!(config.targets.iter().map(|t| t.sources.len()).sum::<usize>(), 4);
}
