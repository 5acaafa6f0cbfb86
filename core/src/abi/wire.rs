//! Between ordinary Rust values and their form on the wire.

use std::collections::BTreeMap;
use std::fmt;

use abi_stable::std_types::{ROption, RString, RVec, Tuple2};

/// A value that can cross the boundary, and the form in which it does.
pub trait Wire: Sized {
    /// The form with a layout that does not depend on the compiler.
    type Abi;

    /// For the other side.
    fn into_abi(self) -> Self::Abi;

    /// From the other side.
    fn from_abi(abi: Self::Abi) -> Self;
}

/// Declares ordinary structs, their `#[repr(C)]` twins and the conversions between them. With `serde`, the ordinary
/// ones also cross from one process to another.
macro_rules! wire_struct {
    ($(
        $(#[$doc:meta])*
        pub struct $Name:ident / $Abi:ident { $($(#[$field_doc:meta])* pub $field:ident: $Type:ty,)* }
    )*) => { $(
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
        pub struct $Name { $($(#[$field_doc])* pub $field: $Type,)* }

        impl std::fmt::Debug for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut shown = f.debug_struct(stringify!($Name));
                $($crate::abi::show_field(&mut shown, stringify!($field), &self.$field);)*
                shown.finish()
            }
        }

        #[doc(hidden)]
        #[repr(C)]
        #[derive(Debug, abi_stable::StableAbi)]
        pub struct $Abi { $(pub $field: <$Type as $crate::abi::Wire>::Abi,)* }

        impl $crate::abi::Wire for $Name {
            type Abi = $Abi;

            fn into_abi(self) -> $Abi {
                $Abi { $($field: $crate::abi::Wire::into_abi(self.$field),)* }
            }

            fn from_abi(abi: $Abi) -> Self {
                Self { $($field: $crate::abi::Wire::from_abi(abi.$field),)* }
            }
        }
    )* };
}

/// Sends a newtype around a number as that number.
macro_rules! wire_number {
    ($Name:ident, $Number:ty, $from:ident, $to:ident) => {
        impl $crate::abi::Wire for $Name {
            type Abi = $Number;

            fn into_abi(self) -> $Number {
                self.$to()
            }

            fn from_abi(abi: $Number) -> Self {
                Self::$from(abi)
            }
        }
    };
}

pub(crate) use {wire_number, wire_struct};

/// Fields that no log may show: secrets, and what users put into environments.
const HIDDEN_FIELDS: [&str; 4] = ["artifacts_token", "env", "secret_env", "token"];

/// Shows a field in `Debug` output unless its value is nobody's business.
pub(crate) fn show_field(shown: &mut fmt::DebugStruct<'_, '_>, name: &str, value: &dyn fmt::Debug) {
    if HIDDEN_FIELDS.contains(&name) {
        shown.field(name, &format_args!("<hidden>"));
    } else {
        shown.field(name, value);
    }
}

macro_rules! wire_as_itself {
    ($($Type:ty),*) => { $(
        impl Wire for $Type {
            type Abi = Self;

            fn into_abi(self) -> Self {
                self
            }

            fn from_abi(abi: Self) -> Self {
                abi
            }
        }
    )* };
}

wire_as_itself!((), bool, u32, u64);

impl Wire for String {
    type Abi = RString;

    fn into_abi(self) -> RString {
        self.into()
    }

    fn from_abi(abi: RString) -> Self {
        abi.into()
    }
}

impl<T: Wire> Wire for Option<T> {
    type Abi = ROption<T::Abi>;

    fn into_abi(self) -> Self::Abi {
        self.map(T::into_abi).into()
    }

    fn from_abi(abi: Self::Abi) -> Self {
        abi.into_option().map(T::from_abi)
    }
}

impl<T: Wire> Wire for Vec<T> {
    type Abi = RVec<T::Abi>;

    fn into_abi(self) -> Self::Abi {
        self.into_iter().map(T::into_abi).collect()
    }

    fn from_abi(abi: Self::Abi) -> Self {
        abi.into_iter().map(T::from_abi).collect()
    }
}

impl Wire for BTreeMap<String, String> {
    type Abi = RVec<Tuple2<RString, RString>>;

    fn into_abi(self) -> Self::Abi {
        self.into_iter().map(|(name, value)| Tuple2(name.into(), value.into())).collect()
    }

    fn from_abi(abi: Self::Abi) -> Self {
        abi.into_iter().map(|Tuple2(name, value)| (name.into(), value.into())).collect()
    }
}
