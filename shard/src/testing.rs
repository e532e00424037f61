//! Test dialogues.
