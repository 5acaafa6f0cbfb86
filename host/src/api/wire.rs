//! AWS's JSON: one struct for each request and response, and nothing else.
//!
//! Requests take every member as optional: what is missing is for the checks to say. Members that nobody knows
//! are ignored, as AWS does.

pub(super) mod alias;
pub(super) mod blob;
pub(super) mod function;
pub(super) mod layer;
pub(super) mod provisioned;
pub(super) mod settings;
pub(super) mod url;
