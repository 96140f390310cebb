//! Through a real repository: real trees come back as they were.
