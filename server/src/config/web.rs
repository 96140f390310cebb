//! What is said of places in the network: addresses of services, listeners, networks.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Checks an address of a service.
///
/// # Errors
/// A sentence that does not show what is wrong: a password may stand in it.
pub(crate) fn check_url(text: &str) -> Result<(), String> {
    match reqwest::Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") || !url.has_host() => {
            Err("is no address that begins with http:// or https://".to_owned())
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Err("holds a user or a password; they have keys of their own".to_owned())
        }
        Ok(_) => Ok(()),
        Err(error) => Err(format!("is no address: {error}")),
    }
}

/// An address with a port to listen at.
///
/// # Errors
/// A sentence that says what is expected.
pub fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no address with a port such as 127.0.0.1:8010 or [::1]:8010"))
}

/// A network: `10.0.0.0/8`, `::1`, `192.168.1.7/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether an address belongs to it. An IPv4 address is the same when it is written as IPv6.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, other) = (self.address.to_canonical(), address.to_canonical());
        match (own, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                same(own.to_bits().into(), other.to_bits().into(), 32, self.bits)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => same(own.to_bits(), other.to_bits(), 128, self.bits),
            _ => false,
        }
    }
}

/// Whether the first `bits` of numbers of `width` bits are the same.
fn same(a: u128, b: u128, width: u8, bits: u8) -> bool {
    // Not even one bit: all addresses of the kind.
    (a ^ b).checked_shr(u32::from(width.saturating_sub(bits))).unwrap_or_default() == 0
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no network such as 10.0.0.0/8 or ::1");
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let address = address.to_canonical();
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|b| *b <= width).ok_or_else(bad)?,
            None => width,
        };
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn networks_hold_their_addresses_in_both_writings() {
        let holds = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        assert!(holds("10.0.0.0/8", "10.255.0.1") && holds("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1") && !holds("10.0.0.0/8", "::1"));
        assert!(holds("0.0.0.0/0", "1.2.3.4") && !holds("0.0.0.0/0", "fe80::1"));
        assert!(holds("::/0", "fe80::1") && holds("::1", "::1") && !holds("::1", "::2"));
        assert!(holds("fd00::/8", "fdff::1") && !holds("192.168.1.7", "192.168.1.8"));
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "a/8", "10.0.0.0/-1", "10.0.0.0/"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_of_services_hold_no_secret_and_no_error_shows_one() {
        assert!(check_url("http://localhost:5678").is_ok() && check_url("https://n8n.example/base").is_ok());
        for bad in [
            "ftp://h",
            "localhost:5678",
            "http://",
            "",
            "http://me:s3cr3t@host",
            "http://s3cr3t@h",
            "http://h:s3cr3t",
        ] {
            assert!(!check_url(bad).unwrap_err().contains("s3cr3t"), "{bad}");
        }
    }
}
