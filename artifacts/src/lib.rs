//! What backends do with code and layers on disk, before they mount or send them: the host unpacks them, and this
//! crate merges them.
#![forbid(unsafe_code)]

pub mod folder;
pub mod layers;
