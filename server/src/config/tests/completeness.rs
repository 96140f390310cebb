//! What a source has to give, as it is written.

use super::*;

#[test]
fn what_a_source_has_to_give_is_handed_on_as_it_is_meant() {
    let text = |kind: &str, more: &str| {
        format!(
            "[[target]]\nname = \"a\"\n[[target.source]]\nname = \"b\"\nkind = \"{kind}\"\n{more}\noptional = true\nmin_files = 3\n\
             min_bytes = \"2k\"\nmax_drop = \"10%\"\nrequired = [\"12\", \"Order intake\"]\nread_errors_max = 2\n"
        )
    };
    let source = |kind, more| understood(&text(kind, more)).unwrap().targets.remove(0).sources.remove(0);
    let wanted = source("n8n", "url = \"http://a\"").requirement();
    assert!(wanted.optional);
    assert_eq!((wanted.min_files, wanted.min_bytes, wanted.max_drop), (Some(3), Some(2048), Some(0.1)));
    assert_eq!((wanted.required.len(), wanted.read_errors_max), (2, 2));
    // Tables are known to their connector, which is asked for them by name.
    assert_eq!(source("sqlite", "path = \"/a\"").requirement().required.len(), 2);
    assert_eq!(Source::default().requirement(), chronos_snapshot::Requirement::default());
    for (bad, part) in [
        ("min_bytes = \"much\"", "min_bytes"),
        ("max_drop = \"200%\"", "share"),
        ("required = [\"\"]", "required"),
        ("min_files = -1", "line 7"),
    ] {
        let text = format!(
            "[[target]]\nname = \"a\"\n[[target.source]]\nname = \"b\"\nkind = \"files\"\npaths = [\"/a\"]\n{bad}\n"
        );
        assert!(refused(&text).contains(part), "{bad}: {}", refused(&text));
    }
}
