//! Letters and alerts in the state, and who is told of what.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::path::Path;

use chronos_store::Env;
use serde_json::json;

use super::*;
use crate::config::{Config, Occasion};
use crate::state::{Alert, LETTERS_MAX, LetterEnd, NewLetter, Noted, State, Telling};

fn config(text: &str) -> Config {
    let target = "[[target]]\nname = \"shop\"\naliases = [\"store\"]\npaths = [\"/a\"]\n";
    Config::parse(&format!("{text}{target}"), Path::new("/etc/chronos.toml")).unwrap()
}

/// Names of those who are told of something.
fn told(config: &Config, event: &Event) -> Vec<String> {
    Receiver::all(config).into_iter().filter(|r| r.wants(event)).map(|r| r.name).collect()
}

#[test]
fn everybody_is_told_of_what_they_want_and_of_nothing_else() {
    let config = config(
        "[events]\nurl = \"http://bus/\"\nactions = [\"backup_failed\", \"cleanup_completed\"]\ntargets = [\"store\"]\n\
         [[notify]]\nname = \"all\"\nurl = \"http://a\"\n\
         [[notify]]\nname = \"damage\"\nurl = \"http://a\"\non = [\"damage\"]\n\
         [[notify]]\nname = \"alive\"\nurl = \"http://a\"\nkind = \"ping\"\ntargets = [\"shop\"]\n",
    );
    let env = Env::system();
    let failed = |target| backup_failed(&env, target, json!({ "error": "no route" }));
    assert_eq!(told(&config, &failed("shop")), ["event-bus", "notify/all"]);
    assert_eq!(told(&config, &failed("other")), ["notify/all"]);
    assert_eq!(told(&config, &damaged(&env, &[])), ["notify/all", "notify/damage"]);
    assert_eq!(told(&config, &cleaned(&env, &[], 0)), ["event-bus"]);
    let mut good = Event::new(&env, "backup_created", "shop", json!({})).concerning("shop");
    good.is_good_backup = true;
    assert_eq!(told(&config, &good), ["notify/alive"]);
    assert!(told(&config, &Event { concerns: Some("other".to_owned()), ..good }).is_empty());
}

#[test]
fn an_event_is_told_in_the_words_of_the_contract() {
    let event = backup_failed(&Env::system(), "shop", json!({ "error": "no route" }));
    let envelope = event.envelope();
    assert_eq!(envelope["source_agent"], "CHRONOS");
    assert_eq!((&envelope["action"], &envelope["target"]), (&json!("backup_failed"), &json!("shop")));
    assert_eq!(envelope["details"]["error"], "no route");
    assert_eq!(envelope["details"]["event_id"], event.id);
    assert_eq!(event.occasion, Some(Occasion::Failure));
    let notice = notice::document(&event);
    assert_eq!((&notice["title"], &notice["severity"]), (&json!("CHRONOS: shop failed"), &json!("error")));
    assert_eq!(notice["message"], "the backup of shop failed: no route");
}

fn letter(event: &str, is_latest: bool) -> NewLetter {
    NewLetter { receiver: "bus".to_owned(), event: event.to_owned(), body: "{}".to_owned(), is_latest }
}

fn tell(state: &State, alert: Alert<'_>, letters: &dyn Fn(&Noted) -> Vec<NewLetter>) {
    state.tell(&Telling { repository: "r", now: 1, alert, letters }).unwrap();
}

#[test]
fn letters_leave_in_their_order_and_what_is_too_many_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(dir.path()).unwrap();
    let all: Vec<NewLetter> = (0..LETTERS_MAX + 2).map(|n| letter(&n.to_string(), false)).collect();
    tell(&state, Alert::Untouched, &|_| all.clone());
    let first = state.next_letter("r", "bus").unwrap().unwrap();
    assert_eq!(first.event, "2", "the oldest two made room");
    assert!(state.next_letter("other", "bus").unwrap().is_none());
    state.postpone_letter("r", "bus", first.number, "no route").unwrap();
    assert_eq!(state.next_letter("r", "bus").unwrap().unwrap().attempts, 1);
    state.end_letter("r", "bus", first.number, LetterEnd::Delivered).unwrap();
    assert_eq!(state.next_letter("r", "bus").unwrap().unwrap().event, "3");
    // Once gone, it is counted no more.
    state.end_letter("r", "bus", first.number, LetterEnd::Dropped).unwrap();
    let counts = state.queues("r").unwrap().remove(0);
    assert_eq!((counts.delivered, counts.failed, counts.dropped), (1, 1, 2));
    assert_eq!(counts.waiting, u64::from(LETTERS_MAX) - 1);
    tell(&state, Alert::Untouched, &|_| vec![letter("latest", true)]);
    assert_eq!(state.queues("r").unwrap()[0].waiting, 1);
}

#[test]
fn an_alert_is_new_once_and_over_once() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(dir.path()).unwrap();
    let is_new = |alert| {
        let noted = std::cell::RefCell::new(Noted::default());
        tell(&state, alert, &|n| {
            noted.replace(n.clone());
            Vec::new()
        });
        noted.into_inner()
    };
    let raise = |detail| Alert::Raise { kind: FAILURE, target: "shop", detail };
    let clear = |detail| Alert::Clear { kind: Some(FAILURE), target: "shop", detail };
    assert!(is_new(raise("full")).is_new && !is_new(raise("full")).is_new);
    assert!(!is_new(clear(Some("database"))).is_new, "a part that is good says nothing of the whole");
    assert!(is_new(raise("database")).is_new);
    assert!(is_new(clear(None)).is_new && !is_new(clear(None)).is_new);
    let set = |detail| Alert::Set { kind: HEALTH, detail };
    assert_eq!(is_new(set("healthy")), Noted { is_new: true, before: None });
    assert!(!is_new(set("healthy")).is_new);
    assert_eq!(is_new(set("degraded")), Noted { is_new: true, before: Some("healthy".to_owned()) });
}
