//! Small sealed objects.

use proptest::prelude::*;

use super::{damage, keys};
use crate::crypto::Purpose;
use crate::error::ErrorKind;
use crate::format::{ObjectKind, Sealed};

const PURPOSES: [Purpose; 2] = [Purpose::Index, Purpose::Manifest];

fn object(name: &str, core: &[u8], manifest: &[u8]) -> Vec<u8> {
    let sections = [(Purpose::Index, core), (Purpose::Manifest, manifest)];
    Sealed { keys: &keys(), kind: ObjectKind::State, name }.seal([4; 32], &sections).unwrap()
}

fn open(name: &str, kind: ObjectKind, bytes: &[u8]) -> crate::Result<Vec<Vec<u8>>> {
    Sealed { keys: &keys(), kind, name }.open(bytes, &PURPOSES)
}

proptest! {
    #[test]
    fn sections_round_trip(core: Vec<u8>, manifest: Vec<u8>) {
        let bytes = object("state/1", &core, &manifest);
        prop_assert!(bytes.len() >= crate::format::header::HEADER_BYTES + 4 + crate::crypto::TAG_BYTES);
        prop_assert_eq!(open("state/1", ObjectKind::State, &bytes).unwrap(), vec![core, manifest]);
    }

    #[test]
    fn any_bytes_are_refused(bytes: Vec<u8>) {
        prop_assert!(open("state/1", ObjectKind::State, &bytes).is_err());
    }
}

#[test]
fn damage_is_found_wherever_it_is() {
    let bytes = object("state/1", b"core", &b"manifest ".repeat(20));
    damage(
        &bytes,
        |bad| matches!(open("state/1", ObjectKind::State, bad), Err(e) if e.kind() == ErrorKind::Damaged),
    );
}

#[test]
fn an_object_does_not_pass_for_another() {
    let bytes = object("state/1", b"core", b"");
    assert!(open("state/2", ObjectKind::State, &bytes).is_err());
    assert!(open("state/1", ObjectKind::Record, &bytes).is_err());
    let mut longer = bytes;
    longer.push(0);
    assert!(open("state/1", ObjectKind::State, &longer).is_err());
}
