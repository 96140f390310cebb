//! Whether a key opens credentials as n8n encrypts them: AES-256-CBC, with key and first block made of the passphrase and a salt by MD5
//! (`EVP_BytesToKey`), behind `Salted__` and the salt, in base64.
//!
//! What always holds: what is decrypted is looked at for its form alone and given to nobody.

use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::n8n::workflow::text_of;
use crate::secret::Secret;

/// How encrypted values begin.
const MARK: &[u8] = b"Salted__";
/// Bytes of the salt, of the key, and of the first block.
const SALT: usize = 8;
const KEY: usize = 32;
const BLOCK: usize = 16;

/// The credentials of an export that a key does not open, by their ids.
///
/// # Errors
/// A sentence about an export that is no list of encrypted credentials.
pub fn closed_to(key: &Secret, export: &[u8]) -> Result<Vec<String>, String> {
    let list: Value = serde_json::from_slice(export).map_err(|e| format!("no JSON: {e}"))?;
    let list = list.as_array().ok_or("it is no list of credentials")?;
    let mut closed = Vec::new();
    for (at, one) in list.iter().enumerate() {
        let data = one.get("data").and_then(Value::as_str);
        let data = data.ok_or_else(|| format!("credential {at} has no encrypted values"))?;
        if !opens(key, data) {
            closed.push(text_of(one, "id").map_or_else(|| at.to_string(), std::borrow::Cow::into_owned));
        }
    }
    Ok(closed)
}

/// Whether a key makes an object of the encrypted values.
fn opens(key: &Secret, data: &str) -> bool {
    let clear = decrypted(key, data);
    clear.is_some_and(|bytes| serde_json::from_slice::<Value>(&bytes).is_ok_and(|value| value.is_object()))
}

fn decrypted(passphrase: &Secret, data: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = STANDARD.decode(data.trim()).ok()?;
    let (salt, sealed) = bytes.strip_prefix(MARK)?.split_at_checked(SALT)?;
    // As n8n does: the low byte of each letter.
    let passphrase: Zeroizing<Vec<u8>> =
        Zeroizing::new(passphrase.reveal().chars().map(|c| u32::from(c).to_le_bytes()[0]).collect());
    let mut made = Zeroizing::new(Vec::with_capacity(KEY + BLOCK));
    let mut last: Vec<u8> = Vec::new();
    while made.len() < KEY + BLOCK {
        let input = Zeroizing::new([&*last, &**passphrase, salt].concat());
        last = Md5::digest(&**input).to_vec();
        made.extend_from_slice(&last);
    }
    let (key, first) = made.split_at_checked(KEY)?;
    let first: [u8; BLOCK] = first.try_into().ok()?;
    let key = UnboundCipherKey::new(&AES_256, key).and_then(PaddedBlockDecryptingKey::cbc_pkcs7).ok()?;
    let mut clear = Zeroizing::new(sealed.to_vec());
    let context = DecryptionContext::Iv128(FixedLength::from(&first));
    let length = key.decrypt(&mut clear, context).ok()?.len();
    clear.truncate(length);
    Some(clear)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Made by `openssl enc -aes-256-cbc -md md5 -salt -a -A -pass pass:the-key-of-the-instance`.
    const SEALED: &str =
        "U2FsdGVkX18z2aauHg5LYCRgcHvAcMvjSnAQloRoGfo85Tn9odAehdfMEBe0Vm/3WgHUNTJGRcgmc4WrJI5qOQ==";

    #[test]
    fn the_key_of_the_instance_opens_its_credentials_and_no_other_does() {
        let export =
            format!(r#"[{{"id": "c1", "data": "{SEALED}"}}, {{"id": "c2", "data": "U2FsdGVkX18z"}}]"#);
        let closed = |key: &str| closed_to(&Secret::new(key), export.as_bytes()).unwrap();
        assert_eq!(closed("the-key-of-the-instance"), ["c2"]);
        assert_eq!(closed("the-key-of-another"), ["c1", "c2"]);
        let clear = decrypted(&Secret::new("the-key-of-the-instance"), SEALED).unwrap();
        assert_eq!(&**clear, br#"{"user":"me","password":"secret"}"#);
        for bad in ["{", "{}", r#"[{"id": "c1"}]"#] {
            assert!(closed_to(&Secret::new("x"), bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
