//! Guards the binary interface: what travels is written down in `interface.txt`, and nobody changes it unawares.

use std::collections::VecDeque;
use std::fmt::Write;
use std::path::Path;

use abi_stable::StableAbi;
use abi_stable::type_layout::{TLField, TLFunction, TypeLayout};
use expect_test::expect_file;

use super::{ABI_MAJOR, ABI_MINOR, ModuleRef};

/// Every type that can be reached from the root, with what it is made of.
#[derive(Default)]
struct Interface {
    /// The types that have a name here already, in the order in which they were met.
    known: Vec<(&'static TypeLayout, String)>,
    waiting: VecDeque<usize>,
    text: String,
}

impl Interface {
    fn describe() -> String {
        let mut interface = Self { text: format!("interface {ABI_MAJOR}.{ABI_MINOR}\n"), ..Self::default() };
        interface.name(<ModuleRef as StableAbi>::LAYOUT);
        while let Some(place) = interface.waiting.pop_front() {
            let (layout, name) = interface.known[place].clone();
            let (size, alignment) = (layout.size(), layout.alignment());
            let _infallible = write!(interface.text, "\n{name}: size {size}, alignment {alignment}\n");
            let fields = layout.get_fields().into_iter().flat_map(|fields| fields.iter());
            for field in fields.chain(layout.phantom_fields().iter()) {
                let field = interface.field(&field);
                let _infallible = writeln!(interface.text, "    {field}");
            }
        }
        interface.text
    }

    fn field(&mut self, field: &TLField) -> String {
        let functions = field.function_range();
        let signatures: Vec<_> = functions.iter().map(|function| self.signature(&function)).collect();
        let signature = if signatures.is_empty() { self.name(field.layout()) } else { signatures.join(" ") };
        format!("{}: {signature}", field.name())
    }

    fn signature(&mut self, function: &TLFunction) -> String {
        let parameters: Vec<_> =
            function.param_type_layouts.iter().map(|layout| self.name(layout())).collect();
        let result = function.return_type_layout().map(|layout| format!(" -> {}", self.name(layout())));
        format!("fn({}){}", parameters.join(", "), result.unwrap_or_default())
    }

    /// Types of one name are told apart by a number: generic ones are not named by what they hold.
    fn name(&mut self, layout: &'static TypeLayout) -> String {
        if let Some((_, name)) =
            self.known.iter().find(|(known, _)| known.get_utypeid() == layout.get_utypeid())
        {
            return name.clone();
        }
        let base = layout.full_type().to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        let of_that_name = self.known.iter().filter(|(known, _)| known.name() == layout.name()).count();
        let name = if of_that_name == 0 { base } else { format!("{base} #{}", of_that_name + 1) };
        self.waiting.push_back(self.known.len());
        self.known.push((layout, name.clone()));
        name
    }
}

/// Appended methods raise `ABI_MINOR` and the minor version of this crate, everything else the major ones, and
/// CHANGELOG.md says so. Then `UPDATE_EXPECT=1 cargo test -p hearth-core` writes it down.
#[test]
fn the_interface_is_what_is_written_down() {
    expect_file!["interface.txt"].assert_eq(&Interface::describe());
}

#[test]
fn the_changelog_names_the_version_of_the_interface() {
    let changelog = Path::new(env!("CARGO_MANIFEST_DIR")).join("../CHANGELOG.md");
    let changelog = std::fs::read_to_string(changelog).expect("it is there");
    let newest = changelog.lines().find(|line| line.starts_with("## ")).expect("a heading");
    assert!(newest.ends_with(&format!("(interface {ABI_MAJOR}.{ABI_MINOR})")), "{newest}");
    let version = format!("{ABI_MAJOR}.{ABI_MINOR}.");
    assert!(
        env!("CARGO_PKG_VERSION").starts_with(&version),
        "the version of this crate is that of the interface"
    );
}
