//! What tests ask of the double itself, at an address of its own: faults, and counts of calls.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{Reply, answer_failure, limited, reply};
use crate::cluster::{Cluster, State};
use crate::controllers;
use crate::deletion::{self, Options};
use crate::failure::Failure;
use crate::faults::{Fault, Faults};
use crate::kubelet::{Kubelet, PodHappening};
use crate::resource::PODS;
use crate::server::Door;
use crate::store::Key;

#[derive(Clone, Debug)]
pub(crate) struct Admin {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) kubelet: Arc<Kubelet>,
    /// The way into the API.
    pub(crate) door: Arc<Door>,
}

impl Admin {
    pub(crate) async fn serve(&self, request: Request<Incoming>) -> Reply {
        let (parts, body) = request.into_parts();
        let answer = match (&parts.method, parts.uri.path()) {
            (&Method::GET, "/_double/calls") => Ok(self.cluster.with(|state, _| json!(state.calls))),
            (&Method::DELETE, "/_double/calls") => {
                self.cluster.with(|state, _| state.calls.clear());
                Ok(json!({}))
            }
            (&Method::POST, "/_double/faults") => match limited(body).await {
                Ok(body) => self.begin(&body),
                Err(failure) => Err(failure),
            },
            (&Method::DELETE, "/_double/faults") => {
                self.end_all();
                Ok(json!({}))
            }
            _ => Err(Failure::no_such_path()),
        };
        match answer {
            Ok(answer) => reply::json(200, &answer),
            Err(failure) => answer_failure(&failure),
        }
    }

    fn begin(&self, body: &[u8]) -> Result<Value, Failure> {
        let refuse = |error: serde_json::Error| Failure::bad_request(format!("no such fault: {error}"));
        let value: Value = serde_json::from_slice(body).map_err(refuse)?;
        let faults: Vec<Fault> = match value {
            Value::Array(_) => serde_json::from_value(value).map_err(refuse)?,
            one => vec![serde_json::from_value(one).map_err(refuse)?],
        };
        for fault in &faults {
            self.begin_one(fault)?;
        }
        Ok(json!({"faults": faults.len()}))
    }

    fn begin_one(&self, fault: &Fault) -> Result<(), Failure> {
        self.cluster.with(|state, _| state.faults.hold(fault));
        match fault {
            Fault::ApiGone { seconds } => self.door.close_for(Duration::from_secs_f64(*seconds)),
            Fault::Compact {} => self.cluster.with(|state, _| state.store.compact()),
            Fault::KillPod { namespace, pod } => {
                self.tell(namespace, pod, PodHappening::Kill { is_out_of_memory: false })?;
            }
            Fault::OomPod { namespace, pod } => {
                self.tell(namespace, pod, PodHappening::Kill { is_out_of_memory: true })?;
            }
            Fault::EvictPod { namespace, pod } => {
                let message = "The node was low on resource: memory. ".to_owned();
                self.tell(namespace, pod, PodHappening::Evict { message })?;
            }
            Fault::LoseNode { .. } => {
                self.kubelet.die();
                if let Some(lost) = self.cluster.with(|state, _| state.faults.lost_node) {
                    tokio::spawn(controllers::give_up_on_node(Arc::clone(&self.cluster), lost));
                }
            }
            _ => {}
        }
        self.cluster.wake();
        Ok(())
    }

    fn tell(&self, namespace: &str, name: &str, happening: PodHappening) -> Result<(), Failure> {
        let key = Key::new(&PODS, namespace, name);
        let pod = self.cluster.with(|state, _| state.store.get(&key).cloned());
        let told = pod.is_some_and(|pod| self.kubelet.tell(&pod, happening));
        if told { Ok(()) } else { Err(Failure::not_found(&PODS, name)) }
    }

    fn end_all(&self) {
        self.cluster.with(|state: &mut State, _| state.faults = Faults::default());
        self.door.open();
        self.cluster.wake();
    }
}

/// Ends all pods, so that nothing of them is left when the double goes.
pub(crate) fn delete_all_pods(cluster: &Cluster) {
    cluster.with(|state, now| {
        let all: Vec<Key> = state.store.list(&PODS, None).map(|(key, _)| key.clone()).collect();
        for key in all {
            // Finalizers do not matter any more.
            drop(deletion::delete(&mut state.store, &key, &Options::at_once(), now));
        }
    });
}
