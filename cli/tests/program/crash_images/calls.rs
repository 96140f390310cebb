//! System calls as `strace -f -xx` writes them down, from first to last.

use std::collections::HashMap;

/// One finished call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    args: Vec<String>,
    /// What it returned; -1 for an error.
    pub(crate) returned: i64,
    /// The lines of its begin and its end: another call between them may or may not see its effect.
    pub(crate) began: usize,
    pub(crate) ended: usize,
}

impl Call {
    /// An argument as it was written: a number, flags.
    pub(crate) fn text(&self, n: usize) -> &str {
        &self.args[n]
    }

    /// An argument that is a number.
    pub(crate) fn number(&self, n: usize) -> u64 {
        self.args[n].parse().unwrap_or_else(|_| panic!("no number: {self:?}"))
    }

    /// An argument that is a string or a buffer.
    pub(crate) fn bytes(&self, n: usize) -> Vec<u8> {
        let quoted = self.args[n].strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let quoted = quoted.unwrap_or_else(|| panic!("no whole string: {self:?}"));
        quoted.split("\\x").skip(1).map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
    }
}

/// The calls of a trace in the order in which they ended.
pub(crate) fn calls(trace: &str) -> Vec<Call> {
    let mut begun: HashMap<&str, (usize, &str)> = HashMap::new();
    let mut calls = Vec::new();
    for (line, text) in trace.lines().enumerate() {
        let (thread, text) = text.split_once(' ').unwrap();
        let text = text.trim_start();
        if let Some(begin) = text.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, (line, begin));
        } else if text.starts_with("<... ") {
            let (began, begin) = begun.remove(thread).unwrap();
            let end = text.split_once(" resumed>").unwrap().1;
            calls.extend(call(&format!("{begin}{end}"), began, line));
        } else {
            calls.extend(call(text, line, line));
        }
    }
    calls
}

/// `None` for what is no call: the end of a thread, a signal.
fn call(text: &str, began: usize, ended: usize) -> Option<Call> {
    let (head, returned) = text.rsplit_once(" = ")?;
    let (name, args) = head.trim_end().strip_suffix(')')?.split_once('(')?;
    let returned = returned.split(' ').next()?;
    // Exits return nothing, flags are returned in hexadecimal; neither matters.
    let returned = returned.parse().unwrap_or(0);
    Some(Call { name: name.to_owned(), args: split(args), returned, began, ended })
}

/// Splits at the commas outside of braces; strings hold none, as every byte of theirs is written in hexadecimal.
fn split(args: &str) -> Vec<String> {
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for c in args.chars() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ',' if depth == 0 => parts.push(String::new()),
            _ => {}
        }
        if c != ',' || depth > 0 {
            parts.last_mut().unwrap().push(c);
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

#[test]
fn a_trace_of_two_threads_is_put_together() {
    let trace = "7 openat(AT_FDCWD, \"\\x61\\x2c\", O_RDONLY|O_CLOEXEC) = 3\n\
        7 fsync(3 <unfinished ...>\n\
        8 pwrite64(4, \"\\x00\\xff\", 2, 4096) = 2\n\
        7 <... fsync resumed>)              = -1 EIO (Input/output error)\n\
        8 fcntl(3, F_SETLK, {l_type=F_WRLCK, l_len=1}) = 0\n\
        8 +++ exited with 0 +++";
    let calls = calls(trace);
    let names: Vec<_> = calls.iter().map(|c| (&*c.name, c.returned, c.began, c.ended)).collect();
    assert_eq!(names, [("openat", 3, 0, 0), ("pwrite64", 2, 2, 2), ("fsync", -1, 1, 3), ("fcntl", 0, 4, 4)]);
    assert_eq!((calls[0].bytes(1), calls[1].bytes(1)), (b"a,".to_vec(), vec![0, 255]));
    assert_eq!((calls[1].number(3), calls[3].args.len()), (4096, 3));
}
