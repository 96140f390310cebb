//! The outside systems, each both ways: read into a snapshot, and written back.
