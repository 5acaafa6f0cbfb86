//! Regular expressions as the model has them: a value fits if all of it does.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use regex::Regex;

/// Each is compiled once.
static COMPILED: LazyLock<Mutex<HashMap<&'static str, Regex>>> = LazyLock::new(Mutex::default);

/// Whether a value fits a pattern, which is written so that it can be compiled.
pub(super) fn fits(pattern: &'static str, value: &str) -> bool {
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let regex = if let Some(regex) = compiled.get(pattern) {
        regex.clone()
    } else {
        let whole = Regex::new(&format!(r"\A(?:{pattern})\z"));
        debug_assert!(whole.is_ok(), "{pattern}: {whole:?}");
        // A pattern that is none says nothing. The tests that walk the model try every one.
        let Ok(whole) = whole else { return true };
        compiled.entry(pattern).or_insert(whole).clone()
    };
    drop(compiled);
    regex.is_match(value)
}
