//! Bytes as text for people, so that no name can drive a terminal, and back.

use std::borrow::Cow;

/// The bytes of a text made by [`printable`]; `None` if it is none.
pub(crate) fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let (letter, after) = escape.split_at_checked(1)?;
        let (code, after) = match letter {
            "t" => (u32::from(b'\t'), after),
            "n" => (u32::from(b'\n'), after),
            "r" => (u32::from(b'\r'), after),
            "x" => {
                let (digits, after) = after.split_at_checked(2)?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = after;
                continue;
            }
            "u" => {
                let (digits, after) = after.strip_prefix('{')?.split_once('}')?;
                (u32::from_str_radix(digits, 16).ok()?, after)
            }
            _ => return None,
        };
        bytes.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

/// A number of things that are counted by this word: `1 file`, `2 files`.
pub fn counted(number: impl TryInto<u64>, word: &str) -> String {
    // Numbers of things are never negative.
    let number = number.try_into().unwrap_or(u64::MAX);
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

/// Whether a character drives a terminal, begins a line or turns the direction of writing.
fn is_harmful(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

/// Text for people from any text: what [`printable`] would change is changed. Costs little where there is nothing to change.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let plain = text.bytes().all(|b| matches!(b, b' '..=b'~'));
    if plain || !text.contains(is_harmful) { text.into() } else { printable(text.as_bytes()).into() }
}

/// A document without characters that drive a terminal: JSON can write them all as `\u` and four digits. Line ends stay,
/// since strings hold none.
pub fn harmless_json(text: String) -> String {
    let harmful = |c: char| c != '\n' && is_harmful(c);
    if !text.contains(harmful) {
        return text;
    }
    let written = |c: char| if harmful(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    text.chars().map(written).collect()
}

/// A text as the name of one file: without what would make it several, another folder or a hidden file.
pub fn file_name(text: &str) -> String {
    let name = harmless(text).replace('/', "_");
    if name.starts_with('.') { format!("_{name}") } else { name }
}

/// Text for people from any bytes: control characters and bytes that are not UTF-8 as `\x..`.
pub fn printable(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_harmful(c) {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
        for b in chunk.invalid() {
            out.extend(b.escape_ascii().map(char::from));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_harmful_is_left_and_the_rest_is_as_it_was() {
        for plain in ["", "plain / text", "gr\u{fc}n \u{4f60}"] {
            assert_eq!((&*harmless(plain), harmless_json(plain.to_owned()).as_str()), (plain, plain));
        }
        assert_eq!(harmless("a\u{1b}[2J\n\u{9b}\u{202e}"), "a\\u{1b}[2J\\n\\u{9b}\\u{202e}");
        assert_eq!(
            harmless_json("{\n\"\u{7f}\u{9b}\u{2066}\"\n}".to_owned()),
            "{\n\"\\u007f\\u009b\\u2066\"\n}"
        );
    }

    #[test]
    fn a_file_name_is_one_name() {
        assert_eq!(file_name("../../etc/x"), "_.._.._etc_x");
        assert_eq!(file_name("a b.tar.zst"), "a b.tar.zst");
        assert_eq!(file_name("a\0\n"), "a\\u{0}\\n");
    }
}
