//! Sets of places.

use super::*;

#[test]
fn a_place_is_needed_only_where_it_was_put_in() {
    let mut live = LivePlaces::default();
    let put = [(0, 0, 0), (0, 0, 63), (0, 1, 64), (7, 0, u16::MAX), (u32::MAX, u16::MAX, 65)];
    for (pack, frame, index) in put {
        assert!(!live.contains(pack, frame, index));
        live.insert(Place { pack, frame, index, length: 1 });
        live.insert(Place { pack, frame, index, length: 1 });
    }
    for pack in [0, 1, 7, u32::MAX] {
        for frame in [0, 1, u16::MAX] {
            for index in [0, 1, 62, 63, 64, 65, 127, u16::MAX - 1, u16::MAX] {
                assert_eq!(live.contains(pack, frame, index), put.contains(&(pack, frame, index)));
            }
        }
    }
}
