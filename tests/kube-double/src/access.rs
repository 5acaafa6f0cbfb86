//! Who calls, and what they may do: bearer tokens, and the roles that the store holds.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::cluster::State;
use crate::failure::Failure;
use crate::resource::{CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES, Resource};
use crate::store::{Key, Store};

/// How long a token is good that is mounted into pods.
const TOKEN_OF_PODS: SignedDuration = SignedDuration::from_secs(3607);

/// Somebody who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum User {
    Admin,
    Account { namespace: String, name: String },
    Anonymous,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    /// With its subresource: `pods/log`.
    pub(crate) resource: &'a str,
    /// Empty for the whole cluster.
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

#[derive(Debug)]
pub(crate) struct Tokens {
    admin: String,
    accounts: BTreeMap<String, (User, Timestamp)>,
}

impl Tokens {
    pub(crate) fn new(admin: &str) -> Self {
        Self { admin: admin.to_owned(), accounts: BTreeMap::new() }
    }

    /// A token of an account, good until then.
    pub(crate) fn issue(&mut self, namespace: &str, name: &str, until: Timestamp) -> String {
        let token = format!("{namespace}.{name}.{}", uuid::Uuid::new_v4().simple());
        let user = User::Account { namespace: namespace.to_owned(), name: name.to_owned() };
        self.accounts.insert(token.clone(), (user, until));
        token
    }

    /// The token that pods of this account have.
    pub(crate) fn of_pods(&mut self, namespace: &str, name: &str, now: Timestamp) -> String {
        let user = User::Account { namespace: namespace.to_owned(), name: name.to_owned() };
        let known =
            self.accounts.iter().find(|(_, (it, until))| *it == user && *until - now > TOKEN_OF_PODS / 2);
        if let Some((token, _)) = known {
            return token.clone();
        }
        self.issue(namespace, name, now + TOKEN_OF_PODS)
    }

    pub(crate) fn user(&self, authorization: Option<&str>, now: Timestamp) -> Result<User, Failure> {
        let Some(header) = authorization else { return Ok(User::Anonymous) };
        let token = header.strip_prefix("Bearer ").unwrap_or(header).trim();
        if token == self.admin {
            return Ok(User::Admin);
        }
        match self.accounts.get(token) {
            Some((user, until)) if *until > now => Ok(user.clone()),
            _ => Err(Failure::unauthorized()),
        }
    }
}

impl User {
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Admin => "admin".to_owned(),
            Self::Account { namespace, name } => format!("system:serviceaccount:{namespace}:{name}"),
            Self::Anonymous => "system:anonymous".to_owned(),
        }
    }
}

/// Why this is allowed; nothing if it is not.
pub(crate) fn allowed(state: &State, user: &User, attempt: &Attempt<'_>) -> Option<String> {
    if state.faults.denies(attempt.verb, attempt.resource) {
        return None;
    }
    match user {
        User::Admin => Some(String::new()),
        User::Anonymous => None,
        User::Account { namespace, name } => allowed_by_roles(&state.store, (namespace, name), attempt),
    }
}

/// Refuses what is not allowed, in the words of the API.
pub(crate) fn check(
    state: &State,
    user: &User,
    resource: &Resource,
    attempt: &Attempt<'_>,
) -> Result<(), Failure> {
    if allowed(state, user, attempt).is_some() {
        return Ok(());
    }
    let scope = if attempt.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {:?}", attempt.namespace)
    };
    let why = format!(
        "User {:?} cannot {} resource {:?} in API group {:?} {scope}",
        user.name(),
        attempt.verb,
        attempt.resource,
        attempt.group
    );
    Err(Failure::forbidden(resource, attempt.name, &why).early())
}

/// Every account may ask what it may do.
fn is_for_everybody(attempt: &Attempt<'_>) -> bool {
    attempt.group == "authorization.k8s.io" && attempt.verb == "create"
}

fn allowed_by_roles(store: &Store, account: (&str, &str), attempt: &Attempt<'_>) -> Option<String> {
    if is_for_everybody(attempt) {
        return Some(String::new());
    }
    let to = format!("to ServiceAccount \"{}/{}\"", account.1, account.0);
    for (binding, role, namespace) in bindings(store, account) {
        let reaches = namespace.is_none_or(|namespace| namespace == attempt.namespace);
        let permits = || rules(role).any(|rule| permits(rule, attempt));
        if reaches && permits() {
            let role_kind = role["kind"].as_str().unwrap_or("Role");
            let name = role["metadata"]["name"].as_str().unwrap_or("");
            return Some(match namespace {
                Some(namespace) => {
                    format!(
                        "RBAC: allowed by RoleBinding \"{binding}/{namespace}\" of {role_kind} {name:?} {to}"
                    )
                }
                None => {
                    format!("RBAC: allowed by ClusterRoleBinding {binding:?} of {role_kind} {name:?} {to}")
                }
            });
        }
    }
    None
}

/// Each binding of an account: its name, the role, and the namespace where it counts.
fn bindings<'a>(
    store: &'a Store,
    account: (&'a str, &'a str),
) -> impl Iterator<Item = (&'a str, &'a Value, Option<&'a str>)> {
    let local = store.list(&ROLE_BINDINGS, None);
    let everywhere = store.list(&CLUSTER_ROLE_BINDINGS, None);
    local.chain(everywhere).filter(move |(key, binding)| names(binding, account, &key.namespace)).filter_map(
        move |(key, binding)| {
            let namespace = key.resource.namespaced.then_some(key.namespace.as_str());
            let reference = &binding["roleRef"];
            let kind = if reference["kind"] == "ClusterRole" { &CLUSTER_ROLES } else { &ROLES };
            let role = Key::new(kind, namespace.unwrap_or(""), reference["name"].as_str()?);
            Some((key.name.as_str(), &**store.get(&role)?, namespace))
        },
    )
}

fn names(binding: &Value, (namespace, name): (&str, &str), default: &str) -> bool {
    binding["subjects"].as_array().into_iter().flatten().any(|subject| {
        let of = subject["namespace"].as_str().unwrap_or(default);
        subject["kind"] == "ServiceAccount" && subject["name"] == *name && of == namespace
    })
}

fn rules(role: &Value) -> impl Iterator<Item = &Value> {
    role["rules"].as_array().into_iter().flatten()
}

fn permits(rule: &Value, attempt: &Attempt<'_>) -> bool {
    let has = |list: &str, wanted: &str| {
        rule[list].as_array().is_some_and(|it| it.iter().any(|it| it == wanted || it == "*"))
    };
    let is_named = rule["resourceNames"]
        .as_array()
        .is_none_or(|it| it.is_empty() || it.iter().any(|it| it == attempt.name));
    has("verbs", attempt.verb)
        && has("apiGroups", attempt.group)
        && has("resources", attempt.resource)
        && is_named
}

/// The rules of an account in a namespace, as a `SelfSubjectRulesReview` tells them.
pub(crate) fn rules_of(state: &State, user: &User, namespace: &str) -> Vec<Value> {
    let mut all = vec![
        json!({"verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
               "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]}),
        json!({"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]}),
    ];
    match user {
        User::Admin => all.push(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})),
        User::Anonymous => all.clear(),
        User::Account { namespace: home, name } => {
            for (_, role, scope) in bindings(&state.store, (home, name)) {
                if scope.is_none_or(|scope| scope == namespace) {
                    all.extend(rules(role).cloned());
                }
            }
        }
    }
    all
}
