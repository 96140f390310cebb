//! Which n8n it is: its version, and which generation of the public API that means.

use std::cmp::Ordering;
use std::fmt;

use crate::n8n::client::{Call, Client};
use crate::n8n::error::{Error, Result};

/// Bytes of the editor's page that are looked at; the version stands in its head.
const PAGE_BYTES_MAX: u64 = 256 << 10;
/// What stands before the version in the release name.
const RELEASE: &str = "n8n@";
/// The oldest and the newest version (major, minor) that backup and restore are proven with.
const OLDEST: (u32, u32) = (1, 94);
const NEWEST: (u32, u32) = (2, 40);

/// Generation of the public API: what it answers and what it accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Era {
    /// 1.x up to the time before drafts: settings are replaced, credentials are not listed.
    Early1,
    /// Late 1.x: versions can be read, credentials are not listed.
    Late1,
    /// Early 2.x: draft and published version, credentials are listed.
    Early2,
    /// Later 2.x: checked bodies, archive, history, packages.
    Late2,
}

/// Version of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerVersion {
    /// `2.40.7`; `None` if the server does not tell it.
    pub release: Option<String>,
    /// Generation of its API.
    pub era: Era,
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.release {
            Some(release) => write!(f, "n8n {release}"),
            None => write!(f, "n8n of unknown version, with the API of {}", self.era.shown()),
        }
    }
}

impl Era {
    fn shown(self) -> &'static str {
        match self {
            Self::Early1 => "1.94",
            Self::Late1 => "1.123",
            Self::Early2 => "2.8",
            Self::Late2 => "2.40",
        }
    }

    /// Whether credentials are listed.
    pub fn lists_credentials(self) -> bool {
        self >= Self::Early2
    }

    /// The generation that a release belongs to; nearest where the change was not seen.
    fn of_release(major: u32, minor: u32) -> Self {
        match (major, minor) {
            // The published version came with drafts late in 1.x.
            (0, _) | (1, ..=119) => Self::Early1,
            (1, _) => Self::Late1,
            (2, ..=8) => Self::Early2,
            _ => Self::Late2,
        }
    }
}

impl ServerVersion {
    /// That of a release as its command line tells it; the nearest where that is not understood.
    pub(super) fn of_release(release: &str) -> Self {
        let known = numbers(release);
        let era = known.map_or(Era::Late2, |(major, minor)| Era::of_release(major, minor));
        Self { release: known.map(|_| release.to_owned()), era }
    }

    /// What people should know of it: older or newer than what is proven.
    pub fn warning(&self) -> Option<String> {
        let (major, minor) = numbers(self.release.as_deref()?)?;
        let how = match ((major, minor).cmp(&OLDEST), (major, minor).cmp(&NEWEST)) {
            (Ordering::Less, _) => "older",
            (_, Ordering::Greater) => "newer",
            _ => return None,
        };
        Some(format!(
            "{self} is {how} than what is proven to work ({}.{} to {}.{})",
            OLDEST.0, OLDEST.1, NEWEST.0, NEWEST.1
        ))
    }

    /// Asks a server. The editor's page tells the release; where there is none, the API is tried out.
    pub(super) fn ask(client: &Client) -> Result<Self> {
        let release = match client.page("/", PAGE_BYTES_MAX) {
            Ok(page) => release_in(&page),
            Err(error) if error.is_of_the_server() => return Err(error),
            // A page that is missing or that a proxy keeps back says nothing.
            Err(_) => None,
        };
        let known = release.as_deref().and_then(numbers);
        let era = match known {
            // Where the API changed between these two is not known to the minor version.
            Some((2, 9..=39)) | None => probe(client)?,
            Some((major, minor)) => Era::of_release(major, minor),
        };
        Ok(Self { release, era })
    }
}

/// Tells the generation by calls that only some of them answer.
fn probe(client: &Client) -> Result<Era> {
    if exists(client, &["discover"])? {
        return Ok(Era::Late2);
    }
    if exists(client, &["credentials"])? {
        return Ok(Era::Early2);
    }
    // Neither has that workflow, but only one knows versions and says so.
    match client.json::<serde_json::Value>(&Call::get(&["workflows", "0", "0"])) {
        Err(Error::Refused { status: 404, said, .. }) if said.contains("ersion") => Ok(Era::Late1),
        Ok(_) | Err(Error::Refused { .. } | Error::NotJson { .. }) => Ok(Era::Early1),
        Err(error) => Err(error),
    }
}

fn exists(client: &Client, path: &[&str]) -> Result<bool> {
    match client.json::<serde_json::Value>(&Call::get(path)) {
        // A key without the scope for it shows that it is there.
        Ok(_) | Err(Error::Forbidden { .. }) => Ok(true),
        Err(Error::Refused { status: 404 | 405, .. } | Error::NotJson { status: 404, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Major and minor number.
fn numbers(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The release in the editor's page: in a base64 value of its head.
fn release_in(page: &[u8]) -> Option<String> {
    let page = String::from_utf8_lossy(page);
    page.split("content=\"").skip(1).filter_map(|rest| rest.split('"').next()).find_map(|value| {
        let text = String::from_utf8(base64(value)?).ok()?;
        let (_, after) = text.split_once(RELEASE)?;
        let release: String =
            after.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')).collect();
        numbers(&release).map(|_| release)
    })
}

/// Decodes base64, with padding or without (RFC 4648, section 4).
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut held, mut bits) = (0_u32, 0);
    for c in text.trim_end_matches('=').bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = (held << 6) | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_read_from_the_page() {
        let page = br#"<meta name="n8n:config:rest-endpoint" content="cmVzdA=="><meta name="n8n:config:sentry" content="eyJkc24iOiIiLCJlbnZpcm9ubWVudCI6ImRldmVsb3BtZW50IiwicmVsZWFzZSI6Im44bkAxLjEyMy44MSJ9">"#;
        assert_eq!(release_in(page).as_deref(), Some("1.123.81"));
        assert_eq!(release_in(b"<meta content=\"no base64!\"><p>n8n@1.2.3"), None);
    }

    #[test]
    fn versions_outside_of_what_is_proven_are_named() {
        let of = |release: &str| ServerVersion { release: Some(release.to_owned()), era: Era::Late1 };
        assert_eq!(of("1.94.1").warning(), None);
        assert_eq!(of("2.40.7").warning(), None);
        assert!(of("0.236.0").warning().is_some_and(|w| w.contains("older")));
        assert!(of("2.41.3").warning().is_some_and(|w| w.contains("newer")));
        assert!(of("3.0.0").warning().is_some_and(|w| w.contains("newer")));
        let unknown = ServerVersion { release: None, era: Era::Early2 };
        assert!(unknown.to_string().contains("2.8"));
    }

    #[test]
    fn releases_belong_to_generations() {
        assert_eq!(Era::of_release(1, 94), Era::Early1);
        assert_eq!(Era::of_release(1, 123), Era::Late1);
        assert_eq!(Era::of_release(2, 8), Era::Early2);
        assert_eq!(Era::of_release(2, 40), Era::Late2);
    }
}
