//! The plugin's side: everything between the binary interface and the author's code.
//!
//! A plugin has a tokio runtime of its own, and every future of the author runs there: the host's threads only
//! wait. What panics becomes an error of that one call.

mod adapter;
mod construct;
mod launch;
mod log;
mod logs;
mod runtime;
mod task;

pub use self::construct::{descriptor, root};

/// Makes a plugin of a crate: exports `$backend`, which implements [`Plugin`](crate::Plugin), under a short
/// name of lower-case letters, digits and hyphens.
///
/// The crate must be of type `cdylib`, and its library be named `hearth_backend_<name>` (hyphens become
/// underscores), so that hosts find it. There can be one such line in a library, and no two libraries that
/// have one can be linked into the same program.
/// The [front page](crate#a-whole-backend) has a whole one.
#[macro_export]
macro_rules! export_backend {
    ($backend:ty, $name:literal) => {
        const _: () = {
            #[unsafe(no_mangle)]
            pub static HEARTH_BACKEND_DESCRIPTOR: $crate::abi::RawDescriptor =
                $crate::export::descriptor::<$backend>($name, env!("CARGO_PKG_VERSION"));

            #[unsafe(no_mangle)]
            pub static HEARTH_BACKEND_ROOT_1: $crate::abi::RootHeader = $crate::export::root::<$backend>();
        };
    };
}
