//! A share of something: `"10%"`, or a number from 0 to 1.

use std::fmt;

use serde::de::{Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// From 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share(f64);

impl Share {
    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }

    fn of(number: f64) -> Option<Self> {
        (0.0..=1.0).contains(&number).then_some(Self(number))
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl Visitor<'_> for Reader {
    type Value = Share;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a share such as \"10%\" or 0.1")
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Share, E> {
        Share::of(number).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Share, E> {
        let share = match number {
            0 => Some(Share(0.0)),
            1 => Some(Share(1.0)),
            _ => None,
        };
        share.ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Share, E> {
        let percent = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        percent
            .and_then(|percent| Share::of(percent / 100.0))
            .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Holder {
        share: Share,
    }

    #[test]
    fn shares_are_percentages_or_numbers_up_to_one() {
        let read =
            |text: &str| toml::from_str::<Holder>(&format!("share = {text}")).ok().map(|h| h.share.get());
        assert_eq!(read("\"10%\""), Some(0.1));
        assert_eq!(read("\"12.5 %\""), Some(0.125));
        assert_eq!([read("0.25"), read("0"), read("1")], [Some(0.25), Some(0.0), Some(1.0)]);
        for bad in ["\"10\"", "\"110%\"", "1.5", "-0.1", "2", "nan", "\"x%\"", "true"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
