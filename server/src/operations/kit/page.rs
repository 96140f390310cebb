//! The page of a kit: what a person reads and prints, with the kit in it as data and, for paper, as a QR code.

use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};

use crate::error::{Error, Result};
use crate::operations::kit::Kit;

/// Before the data of the page.
const BEGIN: &str = "<script type=\"application/json\" id=\"chronos-kit\">";
/// After it.
const END: &str = "</script>";
/// Least size of the QR code on the page, in CSS pixels of which 96 are an inch: about 11 cm.
const CODE_SIZE: u32 = 420;

/// The frame of the page.
const FRAME: &str = include_str!("page.html");

/// The page of a kit.
///
/// # Errors
/// [`Error::Value`] if what belongs in the QR code does not fit.
pub(super) fn write(kit: &Kit) -> Result<String> {
    let code = Kit { objects: Vec::new(), ..kit.clone() }.summed().text();
    let locations =
        kit.locations.iter().map(|location| format!("<li><code>{}</code></li>", escaped(location)));
    let first = kit.locations.first().map(|first| quoted(first)).unwrap_or_default();
    let page = FRAME
        .replace("{{created_at}}", &escaped(&kit.created_at))
        .replace("{{host}}", &escaped(&kit.host))
        .replace("{{repository}}", &escaped(&kit.repository))
        .replace("{{slot}}", &escaped(&kit.slot))
        .replace("{{format_version}}", &kit.format_version.to_string())
        .replace("{{first}}", &escaped(&first))
        .replace("{{locations}}", &locations.collect::<String>())
        .replace("{{code}}", &drawn(&code)?)
        .replace("{{code_text}}", &escaped(&code));
    // Last, so that nothing in it is taken for a name of the frame.
    Ok(page.replace("{{data}}", &format!("{BEGIN}{}{END}", kit.text().replace('<', "\\u003c"))))
}

/// The data of a page; `None` for a text that is no page.
pub(super) fn data(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once(BEGIN)?;
    rest.split_once(END).map(|(data, _)| data)
}

/// A QR code as a drawing that stands in a page.
fn drawn(text: &str) -> Result<String> {
    let too_long = |_| Error::Value {
        place: "--copy".to_owned(),
        why: "the locations of the repository are too long for a QR code: name fewer copies".to_owned(),
    };
    let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(too_long)?;
    let drawing = code.render::<svg::Color<'_>>().min_dimensions(CODE_SIZE, CODE_SIZE).build();
    let begin = drawing.find("<svg").unwrap_or_default();
    Ok(drawing.split_at(begin).1.to_owned())
}

/// As it stands in a page.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A name of the frame cannot stand in a text that is put into it.
            '{' => out.push_str("&#123;"),
            letter => out.push(letter),
        }
    }
    out
}

/// As a shell takes it for one word.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
