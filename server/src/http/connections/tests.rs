//! Who gets a place, and who keeps it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io;
use std::net::SocketAddr;

use axum::routing::get;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::TcpSocket;
use tokio::time::sleep;

use super::*;

/// Bytes of a long answer, and of what lies on its way at most.
const LONG: usize = 100 << 10;
const ON_THE_WAY: usize = 1 << 10;
/// Pieces of an answer that takes its time.
const BEATS: usize = 5;
const UNREAD: Duration = Duration::from_mins(1);

fn router() -> Router {
    let beats = || async {
        let beats = stream::unfold(0, |n| async move {
            sleep(UNREAD * 2).await;
            (n < BEATS).then_some((Ok::<_, Infallible>("beat"), n + 1))
        });
        Body::from_stream(beats)
    };
    Router::new().route("/long", get(|| async { "x".repeat(LONG) })).route("/beats", get(beats))
}

fn ends() -> Ends {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    Ends { peer: address, local: address }
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_of_an_answer_loses_its_place() {
    let (mut near, far) = duplex(ON_THE_WAY);
    near.write_all(request("/long").as_bytes()).await.unwrap();
    let error = connection(far, router(), ends(), UNREAD).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(cause.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn who_takes_an_answer_slowly_gets_all_of_it() {
    let (mut near, far) = duplex(ON_THE_WAY);
    let served = tokio::spawn(connection(far, router(), ends(), UNREAD));
    near.write_all(request("/long").as_bytes()).await.unwrap();
    let (mut taken, mut piece) = (0, [0; ON_THE_WAY]);
    loop {
        sleep(UNREAD / 2).await;
        match near.read(&mut piece).await.unwrap() {
            0 => break,
            read => taken += read,
        }
    }
    assert!(taken > LONG, "{taken}");
    served.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_what_is_not_said_yet_keeps_its_place() {
    let (mut near, far) = duplex(ON_THE_WAY);
    let served = tokio::spawn(connection(far, router(), ends(), UNREAD));
    near.write_all(request("/beats").as_bytes()).await.unwrap();
    let mut said = String::new();
    near.read_to_string(&mut said).await.unwrap();
    assert_eq!(said.matches("beat").count(), BEATS, "{said}");
    served.await.unwrap().unwrap();
}

/// Asks from an address of this host: the answer, or nothing if the connection was closed.
async fn asked(from: [u8; 4], to: SocketAddr) -> (String, Option<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    let mut piece = [0; 1024];
    let said = async {
        stream.write_all(b"GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
        stream.read(&mut piece).await
    };
    match said.await {
        Ok(read @ 1..) => (String::from_utf8_lossy(piece.get(..read).unwrap()).into_owned(), Some(stream)),
        // Closed with or without what was written.
        Ok(_) | Err(_) => (String::new(), None),
    }
}

#[tokio::test]
async fn who_has_its_share_gets_no_more_and_others_get_theirs() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let limits = Limits { open: 4, of_peer: 2, unread: UNREAD };
    tokio::spawn(answer_within(limits, listener, None, router(), std::future::pending()));
    let (one, other) = ([127, 0, 0, 2], [127, 0, 0, 3]);
    let first = asked(one, to).await.1.unwrap();
    let _second = asked(one, to).await.1.unwrap();
    for _ in 0..limits.open {
        assert!(asked(one, to).await.1.is_none());
    }
    let (said, _third) = asked(other, to).await;
    assert!(said.starts_with("HTTP/1.1 404"), "{said:?}");
    drop(first);
    // It is seen that it has gone sooner or later.
    while asked(one, to).await.1.is_none() {}
}
