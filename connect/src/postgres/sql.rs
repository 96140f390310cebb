//! SQL as text: names, values, and the statements of the scripts that `pg_restore` and `pg_dumpall` write.

/// A name.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value.
pub(super) fn literal(value: &str) -> String {
    let quoted = value.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// A name as the programs write it: bare where that is enough. Both forms are to be looked for.
pub(super) fn forms(name: &str) -> [String; 2] {
    [name.to_owned(), identifier(name)]
}

/// The statements of a script, without comments and the commands of `psql`. Bodies in dollar signs are not understood: roles and
/// databases have none.
pub(super) fn statements(script: &str) -> Vec<String> {
    let (mut found, mut statement, mut quote) = (Vec::new(), String::new(), None);
    let mut rest = script.chars().peekable();
    let mut is_line_start = true;
    while let Some(letter) = rest.next() {
        let is_comment = quote.is_none() && letter == '-' && rest.peek() == Some(&'-');
        let is_command = quote.is_none() && is_line_start && letter == '\\';
        if is_comment || is_command {
            rest.by_ref().take_while(|l| *l != '\n').for_each(drop);
            is_line_start = true;
            continue;
        }
        is_line_start = letter == '\n';
        match quote {
            None if letter == ';' => found.push(std::mem::take(&mut statement).trim().to_owned()),
            None if matches!(letter, '\'' | '"') => quote = Some(letter),
            Some(open) if open == letter => quote = None,
            _ => {}
        }
        if quote.is_some() || letter != ';' {
            statement.push(letter);
        }
    }
    found.retain(|s| !s.is_empty());
    found
}

/// The name at the beginning of `text`, and what follows it.
pub(super) fn leading_name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', ',', ';']).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end)?;
        return (!name.is_empty()).then(|| (name.to_owned(), rest));
    };
    let mut name = String::new();
    let mut letters = quoted.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        if letter != '"' {
            name.push(letter);
        } else if letters.next_if(|(_, next)| *next == '"').is_some() {
            name.push('"');
        } else {
            return Some((name, quoted.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_quoted() {
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!((literal("it's"), literal("a\\b'")), ("'it''s'".to_owned(), "E'a\\\\b'''".to_owned()));
    }

    #[test]
    fn a_script_is_taken_apart() {
        let script = "--\n-- Name: x; Type: y\n--\n\\restrict abc\nSET a = 1;\n\nCOMMENT ON DATABASE x IS 'one;\n\\two''s -- no comment';\n\
                      CREATE ROLE \"a;b\";\n\\unrestrict abc\n";
        let found = statements(script);
        let expected =
            ["SET a = 1", "COMMENT ON DATABASE x IS 'one;\n\\two''s -- no comment'", "CREATE ROLE \"a;b\""];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_name_is_read_in_both_forms() {
        assert_eq!(leading_name("shop WITH x"), Some(("shop".to_owned(), " WITH x")));
        assert_eq!(leading_name("\"a\"\"b c\" TO d"), Some(("a\"b c".to_owned(), " TO d")));
        assert_eq!(leading_name("\"open"), None);
    }
}
