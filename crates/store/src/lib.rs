//! What hostlet remembers: definitions and history in an embedded SQLite file.
