//! Targets of what is stored unsealed, and of names: config, key slots, headers, reference lists.

use std::path::{Component, Path};

use super::{Target, chunk, env, keys, pack_name, session};
use crate::backend::{check_name, check_prefix};
use crate::crypto::{Kdf, KeySlot, Secrets};
use crate::error::ErrorKind;
use crate::format::{Config, Header, ObjectKind};
use crate::id::{ChunkId, PackName, RepositoryId, SessionId, SnapshotId};
use crate::names;
use crate::refs::RefList;
use crate::repository::Secret;

pub(super) const TARGETS: &[Target] = &[
    Target::new("refs", refs, refs_seeds),
    Target::new("header", header, header_seeds),
    Target::new("config", config, config_seeds),
    Target::new("config_text", config_text, config_text_seeds),
    Target::new("slot", slot, slot_seeds),
    Target::new("slot_fields", slot_fields, slot_seeds),
    Target::new("names", all_names, names_seeds),
];

fn refs(bytes: &[u8]) -> bool {
    let Ok(list) = RefList::decode(bytes) else { return false };
    assert_eq!(list.encode(), bytes, "one encoding only");
    true
}

fn refs_seeds() -> Vec<Vec<u8>> {
    let list = |meta, children: u8, data: u8| RefList {
        meta,
        children: (0..children).map(chunk).collect(),
        data: (0..data).map(chunk).collect(),
    };
    [list(None, 0, 0), list(Some(chunk(9)), 2, 3), list(None, 0, 5)].iter().map(RefList::encode).collect()
}

const KINDS: [ObjectKind; 7] = [
    ObjectKind::Pack,
    ObjectKind::Run,
    ObjectKind::Decision,
    ObjectKind::State,
    ObjectKind::Record,
    ObjectKind::Session,
    ObjectKind::Name,
];

fn header(bytes: &[u8]) -> bool {
    let read: Vec<_> = KINDS.iter().filter_map(|kind| Header::decode("object", *kind, bytes).ok()).collect();
    assert!(read.len() <= 1, "an object is of one kind");
    read.first().is_some_and(|header| {
        assert!(bytes.starts_with(&header.encode()), "one encoding only");
        true
    })
}

fn header_seeds() -> Vec<Vec<u8>> {
    KINDS.iter().map(|kind| Header { kind: *kind, salt: [4; 32] }.encode().to_vec()).collect()
}

fn config(bytes: &[u8]) -> bool {
    let Ok((config, seal)) = Config::decode(bytes) else { return false };
    // Whether the MAC fits is another question; asking it must not fail.
    if seal.check(keys()).is_ok() {
        let again = Config::decode(&config.encode(keys()).unwrap()).unwrap();
        assert_eq!(again.0, config);
    }
    true
}

fn config_of(features: &[&str]) -> Config {
    Config {
        features: features.iter().map(ToString::to_string).collect(),
        ..Config::new(RepositoryId([3; 16]), "2026-01-31T13:00:00Z".to_owned())
    }
}

fn config_seeds() -> Vec<Vec<u8>> {
    vec![config_of(&[]).encode(keys()).unwrap(), config_of(&["parity"]).encode(keys()).unwrap()]
}

/// The text in front of the seal, whatever it is, under its right checksum and MAC.
fn config_text(bytes: &[u8]) -> bool {
    let text = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let text = [text, b"\n"].concat();
    let seal = format!("{} {}\n", blake3::hash(&text).to_hex(), hex::encode(keys().config_mac(&text)));
    match Config::decode(&[text.as_slice(), seal.as_bytes()].concat()) {
        Ok((config, seal)) => {
            seal.check(keys()).unwrap();
            let again = Config::decode(&config.encode(keys()).unwrap()).unwrap();
            assert_eq!(again.0, config);
            true
        }
        Err(e) => {
            assert!(matches!(e.kind(), ErrorKind::Damaged | ErrorKind::TooNew));
            false
        }
    }
}

fn config_text_seeds() -> Vec<Vec<u8>> {
    let line = |bytes: Vec<u8>| bytes.split(|b| *b == b'\n').next().unwrap_or_default().to_vec();
    config_seeds().into_iter().map(line).collect()
}

fn slot(bytes: &[u8]) -> bool {
    let Ok(slot) = KeySlot::decode("keys/0", bytes) else { return false };
    open_slot(&slot);
    true
}

/// The fields of a slot, whatever they are, under their right checksum.
fn slot_fields(bytes: &[u8]) -> bool {
    let Ok(slot) = serde_json::from_slice::<KeySlot>(bytes) else {
        // Still an answer is needed.
        KeySlot::decode("keys/0", bytes).unwrap_err();
        return false;
    };
    let slot = slot.with_sum();
    match KeySlot::decode("keys/0", &slot.encode().unwrap()) {
        Ok(read) => {
            assert_eq!(read, slot);
            open_slot(&slot);
            true
        }
        Err(e) => {
            assert!(matches!(e.kind(), ErrorKind::Damaged | ErrorKind::TooNew));
            false
        }
    }
}

/// Tries a key file, and a password where the slot asks for little or for too much.
fn open_slot(slot: &KeySlot) {
    let cheap = match slot.kdf {
        Kdf::KeyFile => true,
        Kdf::Password { memory_kib, passes } => {
            memory_kib <= 64 && passes <= 2 || memory_kib > 4 << 20 || passes > 64
        }
    };
    for secret in [Secret::Key([5; 32]), Secret::Password("x".to_owned())] {
        if cheap {
            // Opened, not its own, or damaged: any answer will do.
            drop(slot.unwrap("keys/0", &secret));
        }
    }
}

fn slot_seeds() -> Vec<Vec<u8>> {
    let secrets = Secrets { master: [1; 32], chunk: [2; 32] };
    let slot = |secret: &Secret, kdf| {
        KeySlot::wrap(&env(), &secrets, secret, kdf, "label", "0").unwrap().encode().unwrap()
    };
    let cheap = Kdf::Password { memory_kib: 64, passes: 1 };
    vec![slot(&Secret::Key([5; 32]), Kdf::KeyFile), slot(&Secret::Password("x".to_owned()), cheap)]
}

/// Every kind of name; what is one reads back as it was written.
fn all_names(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let lower = text.to_ascii_lowercase();
    let mut any = false;
    let mut is = |shown: Option<String>, original: &str| {
        if let Some(shown) = shown {
            assert_eq!(shown, original);
            any = true;
        }
    };
    is(text.parse::<SessionId>().ok().map(|id| id.to_string()), text);
    is(text.parse::<PackName>().ok().map(|id| id.to_string()), text);
    is(text.parse::<ChunkId>().ok().map(|id| id.to_string()), &lower);
    is(text.parse::<RepositoryId>().ok().map(|id| id.to_string()), &lower);
    is(text.parse::<SnapshotId>().ok().map(|id| id.to_string()), &lower);
    is(names::log_number(text).map(names::log), text);
    for area in [names::SESSIONS, names::DECISIONS] {
        is(names::session_of(area, text).map(|id| format!("{area}{id}")), text);
    }
    if check_name(text).is_ok() {
        assert!(check_prefix(text).is_ok(), "a name begins with itself");
        let normal = |c| matches!(c, Component::Normal(_));
        assert!(Path::new(text).components().all(normal), "it stays inside");
        any = true;
    }
    any
}

fn names_seeds() -> Vec<Vec<u8>> {
    [
        session(5).to_string(),
        pack_name(1).to_string(),
        chunk(0xab).to_string(),
        RepositoryId([7; 16]).to_string(),
        names::log(12),
        names::decision(&session(5)),
        names::session(&session(5)),
        names::pack(&pack_name(2)),
        "config".to_owned(),
        "file:///srv/backup".to_owned(),
        "s3://bucket/folder".to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec()
}
