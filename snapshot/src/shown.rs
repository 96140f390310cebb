//! Bytes as text for people, so that no name can drive a terminal, and back.

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

/// Text for people from any bytes: control characters and bytes that are not UTF-8 as `\x..`.
pub fn printable(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control()
                || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            {
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
