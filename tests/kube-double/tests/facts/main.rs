//! What a real cluster was recorded to do, and the double does as well: a test for each of the numbered facts of the
//! recordings. Each stands alone; where the recordings are at hand it is also compared with them.

#![expect(clippy::unwrap_used, reason = "what the tests have in common is test as well")]

mod cluster;
mod deleting;
mod faults;
mod life;
mod pods;
mod recorded;
mod refusals;
mod stream;
mod streams;
mod watching;
mod writing;
