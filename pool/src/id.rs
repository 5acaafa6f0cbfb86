//! Names of things. The pool compares them and hands them back; what they stand for is the host's affair.

use std::fmt;

/// One pool's key: a function's version in one account and region. The host numbers them densely from 0, so
/// that looking one up is an index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionId(pub u32);

/// Digest of everything that shapes an instance: code, layers, image, settings. Two deploys with the same
/// digest share their instances.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeployId(pub [u8; 32]);

/// One invocation that wants an instance. Unique for the life of the host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One instance, made by the pool and never used again for another: a place in a table and how often that
/// place was used before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl InstanceId {
    /// A small number, free to be used again once the instance has terminated; good for indexing a table.
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

impl fmt::Display for FunctionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "f{}", self.0)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "i{}.{}", self.index, self.generation)
    }
}

impl fmt::Display for DeployId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

macro_rules! debug_as_display {
    ($($name:ident),*) => { $(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )* };
}
debug_as_display!(FunctionId, RequestId, InstanceId, DeployId);
