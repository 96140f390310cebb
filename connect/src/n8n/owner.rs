//! Whether a key sees everything: n8n shows the key of another user only what is that user's, and does not say so.

use serde::Deserialize;

use crate::n8n::client::{Call, Client};
use crate::n8n::error::Error;
use crate::n8n::version::base64;

/// Stands in each warning of a key that may not see everything.
pub const SEES_NOT_ALL: &str = "workflows of others are missing here";
/// Roles whose keys see everything.
const SEE_EVERYTHING: [&str; 2] = ["global:owner", "global:admin"];

/// What a key says of itself: it is a JSON Web Token (RFC 7519) since 1.75; one of before says nothing.
#[derive(Deserialize)]
struct Claims {
    /// Id of its user.
    sub: String,
}

#[derive(Deserialize)]
struct User {
    role: Option<String>,
}

/// What has to be known of a key that is not the owner's or an administrator's. Nothing if that cannot be told.
pub(super) fn warning(client: &Client) -> Option<String> {
    let user = user_of(client.key().reveal())?;
    let path = ["users", &*user];
    let call = Call { query: &[("includeRole", "true")], ..Call::get(&path) };
    match client.json::<User>(&call) {
        Ok(User { role: Some(role) }) if SEE_EVERYTHING.contains(&role.as_str()) => None,
        Ok(User { role: Some(role) }) => Some(format!(
            "the API key is of a user whose role is {}: {SEES_NOT_ALL}; a key of the owner sees all",
            client.clean(&role)
        )),
        // Only the owner and administrators may look at users.
        Err(Error::Forbidden { .. }) => Some(format!(
            "the API key may not look at users: unless it is a key of the owner, {SEES_NOT_ALL}"
        )),
        // Whatever else comes says nothing of the key, and what matters more is read next.
        Ok(_) | Err(_) => None,
    }
}

/// The user of a key.
fn user_of(key: &str) -> Option<String> {
    // Its alphabet is that for addresses.
    let claims = key.split('.').nth(1)?.replace('-', "+").replace('_', "/");
    serde_json::from_slice::<Claims>(&base64(&claims)?).ok().map(|claims| claims.sub)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_user_unless_it_is_an_old_one() {
        assert_eq!(user_of("e30.eyJzdWIiOiJhLWIiLCJ4Ijoi8J-SviJ9.s").as_deref(), Some("a-b"));
        for key in ["n8n_api_0123", "", "a.b", "a.e30.c", "a.!.c"] {
            assert_eq!(user_of(key), None);
        }
    }
}
