//! Scenarios: a script goes in, what the pool asks for comes out, exactly.

mod life;
mod script;
