//! Lists of paths to back up, one a line or separated by NUL.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// Largest list that is read, in bytes; about a million paths.
const LIST_BYTES_MAX: u64 = 256 << 20;

/// Reads a list of paths separated by `separator` (a line end or NUL). Empty ones are skipped; `name` is for errors.
pub fn read_path_list(reader: impl Read, name: &str, separator: u8) -> Result<Vec<PathBuf>> {
    let mut bytes = Vec::new();
    reader.take(LIST_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|e| Error::file(name, e))?;
    if bytes.len() as u64 > LIST_BYTES_MAX {
        return Err(Error::Invalid(format!(
            "the list of paths {name} is longer than {LIST_BYTES_MAX} bytes"
        )));
    }
    let line = |l: &[u8]| {
        let l = if separator == b'\n' { l.strip_suffix(b"\r").unwrap_or(l) } else { l };
        (!l.is_empty()).then(|| PathBuf::from(OsString::from_vec(l.to_vec())))
    };
    Ok(bytes.split(|b| *b == separator).filter_map(line).collect())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn lines_and_nul_separated_names_are_read_as_they_are() {
        let lines = read_path_list(&b"/a b\n\n./c\r\n/d"[..], "list", b'\n').unwrap();
        assert_eq!(lines, ["/a b", "./c", "/d"].map(PathBuf::from));
        let nul = read_path_list(&b"/a\nb\0/c\r\0"[..], "list", 0).unwrap();
        assert_eq!(nul, ["/a\nb", "/c\r"].map(PathBuf::from));
    }
}
