//! Every operation of the Lambda API: where it is, and what this host makes of it.
//!
//! The router is built from this table, and `docs/api.md` is written from it: what is not here is not served, and
//! what is here is told.

use std::future::ready;
use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::ApiState;
use super::error::{ApiError, NOT_SUPPORTED};
pub use page::page;
use table::FAMILIES;

mod page;
mod table;

/// Operations that belong together.
struct Family {
    title: &'static str,
    tier: Tier,
    /// What is said of all of them; empty for nothing.
    note: &'static str,
    operations: &'static [Operation],
}

/// How much of a host of functions they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tier {
    /// Running functions takes them.
    Core,
    /// Tools call them, and little hangs on them.
    Small,
    /// They configure other services.
    Control,
    /// They are about AWS's own machinery.
    Outside,
}

/// One operation. Members of its requests are named as the model names them; those that are in the path are not.
struct Operation {
    /// AWS's name.
    name: &'static str,
    route: Route,
    /// Members that make a difference.
    acts_on: &'static str,
    /// Members that are checked, kept and shown, and make no other difference.
    stores: &'static str,
    /// Members that are refused by name, because a function would rely on them.
    refuses: &'static str,
    /// Members that are checked, if anything, and forgotten.
    forgets: &'static str,
}

type Methods = MethodRouter<Arc<ApiState>>;

/// How requests get there.
enum Route {
    /// Under this path.
    Own(&'static str, fn() -> Methods),
    /// The same with nothing in the way: the request has its id from the start.
    Direct(&'static str, fn() -> Methods),
    /// Under the path of another operation, which tells them apart by the query.
    Shared,
    /// They are refused by name.
    Refused(&'static str, MethodFilter),
}

impl Operation {
    const fn new(name: &'static str, route: Route) -> Self {
        Self { name, route, acts_on: "", stores: "", refuses: "", forgets: "" }
    }

    const fn own(name: &'static str, path: &'static str, methods: fn() -> Methods) -> Self {
        Self::new(name, Route::Own(path, methods))
    }

    const fn direct(name: &'static str, path: &'static str, methods: fn() -> Methods) -> Self {
        Self::new(name, Route::Direct(path, methods))
    }

    const fn shared(name: &'static str) -> Self {
        Self::new(name, Route::Shared)
    }

    const fn refused(name: &'static str, method: MethodFilter, path: &'static str) -> Self {
        Self::new(name, Route::Refused(path, method))
    }

    const fn acts_on(self, acts_on: &'static str) -> Self {
        Self { acts_on, ..self }
    }

    const fn stores(self, stores: &'static str) -> Self {
        Self { stores, ..self }
    }

    const fn refuses(self, refuses: &'static str) -> Self {
        Self { refuses, ..self }
    }

    const fn forgets(self, forgets: &'static str) -> Self {
        Self { forgets, ..self }
    }

    /// How a request that is answered with the operation's name only is answered.
    fn refusal(&self) -> Methods {
        let (name, Route::Refused(_, method)) = (self.name, &self.route) else { return Methods::new() };
        on(*method, move || {
            ready(ApiError::new(&NOT_SUPPORTED, format!("{name} is not supported by this host.")))
        })
    }
}

/// The routes of all operations that have something in the way.
pub(super) fn control(router: Router<Arc<ApiState>>) -> Router<Arc<ApiState>> {
    all().fold(router, |router, operation| match operation.route {
        Route::Own(path, methods) => both_ways(router, path, methods()),
        Route::Refused(path, _) => both_ways(router, path, operation.refusal()),
        Route::Direct(..) | Route::Shared => router,
    })
}

/// The routes of the others.
pub(super) fn direct(router: Router<Arc<ApiState>>) -> Router<Arc<ApiState>> {
    all().fold(router, |router, operation| match operation.route {
        Route::Direct(path, methods) => both_ways(router, path, methods()),
        Route::Own(..) | Route::Shared | Route::Refused(..) => router,
    })
}

fn all() -> impl Iterator<Item = &'static Operation> {
    FAMILIES.iter().flat_map(|family| family.operations)
}

/// Clients of different ages end a path with a slash, or do not.
fn both_ways(router: Router<Arc<ApiState>>, path: &str, methods: Methods) -> Router<Arc<ApiState>> {
    router.route(path, methods.clone()).route(&format!("{path}/"), methods)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_operation_is_told_of_twice() {
        let names: BTreeSet<_> = all().map(|operation| operation.name).collect();
        assert_eq!(names.len(), all().count());
    }
}
