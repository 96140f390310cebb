//! What both services answer, and the words of their requests.

pub(in crate::http) mod words;

pub(in crate::http) mod health;
pub(in crate::http) mod history;
