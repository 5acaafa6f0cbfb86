//! A change that the rules forbid: a field more in a struct that travels.

include!("../core_edits.rs");

fn main() {
    copy_with(&[(
        "types.rs",
        "        /// The function's tags, with the prefix",
        "        /// What no other version has.
        pub colour: u32,
",
    )]);
}
