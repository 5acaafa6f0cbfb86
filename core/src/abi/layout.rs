//! Joining a plugin to the host: whether both mean the same by every type that travels.

#![expect(
    unsafe_code,
    reason = "turns a symbol's address into the root of the interface, once it was checked"
)]

use std::ffi::c_void;
use std::fmt;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::{
    AbiInstability, AbiInstabilityError, AbiInstabilityErrors, CheckingGlobals, ExpectedFound,
    check_layout_compatibility_with_globals,
};
use abi_stable::library::{
    AbiHeaderRef, CheckTypeLayout, LibHeader, LibraryError, RootModuleError, RootModuleResult,
};
use abi_stable::type_layout::TLFieldOrFunction;

use super::{ABI_MINOR, ModuleRef};

/// Symbol under which a plugin exports its [`RootHeader`]; the number is the major version of the interface.
pub const ROOT_SYMBOL: &str = "HEARTH_BACKEND_ROOT_1";

/// What lies under [`ROOT_SYMBOL`]: the layout of everything that travels, and the constructor of the root.
pub type RootHeader = LibHeader;

/// How many differences the summary of a layout error names.
const NAMED_DIFFERENCES: usize = 3;

/// Why a plugin does not fit this host, although its descriptor says that it should.
#[derive(Clone, PartialEq, Eq)]
pub enum LinkError {
    /// What lies under the root symbol was not made by the same binary interface library, or the compiler calls
    /// functions in another way.
    Header(String),
    /// A type that travels has another layout over there.
    Layout {
        /// What differs, on one line.
        summary: String,
        /// All that is known about it: hundreds of lines.
        report: String,
    },
    /// The plugin could not make its root.
    Root(String),
}

/// The header that [`export_backend!`](crate::export_backend) puts under [`ROOT_SYMBOL`].
pub const fn root_header(constructor: extern "C" fn() -> RootModuleResult) -> RootHeader {
    // SAFETY: `constructor` is `export::construct`, the only function with this signature that a plugin has:
    // what it answers was made from a `ModuleRef`.
    unsafe { LibHeader::from_constructor::<ModuleRef>(constructor, CheckTypeLayout::Yes) }
}

/// The root of a plugin that was built against minor version `plugin_minor` of this interface.
///
/// # Safety
///
/// `symbol` must be the address of [`ROOT_SYMBOL`] in a library that is never unloaded.
pub unsafe fn root_module(symbol: *const c_void, plugin_minor: u32) -> Result<ModuleRef, LinkError> {
    if symbol.is_null() {
        return Err(LinkError::Header("the root symbol is null".to_owned()));
    }
    // SAFETY: the caller says that a `RootHeader` lies there for ever, and every version of it begins with the
    // header to which this type is a transparent reference; `upgrade` looks at nothing else before it has
    // checked that.
    let header = unsafe { std::mem::transmute::<*const c_void, AbiHeaderRef>(symbol) };
    let header = header.upgrade().map_err(|error| LinkError::Header(condensed(&error)))?;
    check_layout(header, plugin_minor)?;
    // SAFETY: the layout of `ModuleRef` was checked.
    let module = unsafe { header.init_root_module_with_unchecked_layout::<ModuleRef>() };
    module.map_err(|error| LinkError::Root(condensed(&error)))
}

/// The library's own check assumes that a plugin is never older than its host, so for one that is, the two
/// change places: what an older plugin has must be the beginning of what this host has.
fn check_layout(header: &RootHeader, plugin_minor: u32) -> Result<(), LinkError> {
    let host = <ModuleRef as StableAbi>::LAYOUT;
    let Some(plugin) = header.layout() else {
        return Err(LinkError::Header("the plugin was built without the layout of its types".to_owned()));
    };
    let globals = CheckingGlobals::new();
    let (checked, sides) = if plugin_minor.cmp(&ABI_MINOR).is_lt() {
        (check_layout_compatibility_with_globals(plugin, host, &globals), ("plugin", "host"))
    } else {
        (check_layout_compatibility_with_globals(host, plugin, &globals), ("host", "plugin"))
    };
    checked
        .map_err(|errors| LinkError::Layout { summary: summary(&errors, sides), report: errors.to_string() })
}

fn condensed(error: &LibraryError) -> String {
    match error {
        LibraryError::RootModule { err: RootModuleError::Unwound, .. } => {
            "its constructor panicked".to_owned()
        }
        LibraryError::InvalidAbiHeader(found) => {
            format!("it was made with abi_stable {}.{}", found.abi_major, found.abi_minor)
        }
        other => other.to_string().split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

fn summary(errors: &AbiInstabilityErrors, sides: (&str, &str)) -> String {
    let mut differences: Vec<String> = Vec::new();
    for error in &errors.errors {
        for instability in &error.errs {
            let difference = format!("{}: {}", place(error), difference(instability, sides));
            if !differences.contains(&difference) {
                differences.push(difference);
            }
        }
    }
    let more = differences.len().saturating_sub(NAMED_DIFFERENCES);
    differences.truncate(NAMED_DIFFERENCES);
    if more > 0 {
        differences.push(format!("and {more} more"));
    }
    differences.join("; ")
}

/// Name of the type whose layout differs.
fn place(error: &AbiInstabilityError) -> &'static str {
    match error.stack_trace.last().map(|frame| frame.expected) {
        Some(TLFieldOrFunction::Field(field)) => field.layout().name(),
        Some(TLFieldOrFunction::Function(_)) => "a function",
        None => "the root",
    }
}

fn difference(instability: &AbiInstability, sides: (&str, &str)) -> String {
    match instability {
        AbiInstability::Size(found) => between("size", found, sides),
        AbiInstability::Alignment(found) => between("alignment", found, sides),
        AbiInstability::FieldCountMismatch(found) => between("number of fields", found, sides),
        AbiInstability::Name(found) => between("name", found, sides),
        AbiInstability::Package(found) => between("package", found, sides),
        AbiInstability::PackageVersion(found) => between("version of its package", found, sides),
        other => {
            let debug = format!("{other:?}");
            debug.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
        }
    }
}

fn between<T: fmt::Display>(
    what: &str,
    found: &ExpectedFound<T>,
    (expected_by, found_in): (&str, &str),
) -> String {
    format!("{what} ({expected_by} {}, {found_in} {})", found.expected, found.found)
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(problem) => write!(f, "its binary interface is another one: {problem}"),
            Self::Layout { summary, .. } => write!(f, "its types do not match this host's: {summary}"),
            Self::Root(problem) => write!(f, "it cannot be joined: {problem}"),
        }
    }
}

/// Without the report, which is for files.
impl fmt::Debug for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkError({self})")
    }
}

impl std::error::Error for LinkError {}
