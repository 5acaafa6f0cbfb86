//! pods/log.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::reply::full;
use super::{Api, Call, Reply};
use crate::clock;
use crate::cluster::NODE;
use crate::failure::{Cause, Failure};
use crate::kubelet::{Journal, Line, Run};

/// What of the output is wanted, and how.
#[derive(Debug, Default)]
struct Options {
    follow: bool,
    previous: bool,
    timestamps: bool,
    tail: Option<usize>,
    since: Option<Timestamp>,
    limit: Option<usize>,
}

pub(super) fn serve(api: &Api, call: &Call) -> Result<Reply, Failure> {
    let options = options(call)?;
    let key = call.key();
    let (pod, is_lost) =
        api.cluster.with(|state, _| (state.store.get(&key).cloned(), state.faults.lost_node.is_some()));
    let pod = pod.ok_or_else(|| Failure::not_found(call.resource, &key.name))?;
    let container = container(call, &pod)?;
    let Some(node) = pod["spec"]["nodeName"].as_str() else {
        let mut empty = Response::new(full(""));
        *empty.status_mut() = StatusCode::NO_CONTENT;
        return Ok(empty);
    };
    if is_lost || node != NODE {
        let host = pod["status"]["hostIP"].as_str().unwrap_or("10.77.0.250");
        let path = format!("containerLogs/{}/{}/{container}", key.namespace, key.name);
        return Err(Failure::internal(format!(
            "Get \"https://{host}:10250/{path}\": dial tcp {host}:10250: connect: no route to host"
        )));
    }
    match choose(api, &pod, &container, options.previous)? {
        Chosen::Run(run) => Ok(stream_out(&run.journal, &options)),
        Chosen::Removed(id) => {
            Ok(with_type(Response::new(full(format!("unable to retrieve container logs for {id}")))))
        }
    }
}

enum Chosen {
    Run(Run),
    /// The node has not kept it.
    Removed(String),
}

fn choose(api: &Api, pod: &Value, container: &str, previous: bool) -> Result<Chosen, Failure> {
    let name = pod["metadata"]["name"].as_str().unwrap_or("");
    let lists = ["initContainerStatuses", "containerStatuses"].into_iter();
    let mut all = lists.filter_map(|it| pod["status"][it].as_array()).flatten();
    let status = all.find(|it| it["name"] == *container).cloned().unwrap_or_default();
    let runs = api.kubelet.runs(pod, container);
    if previous {
        let id = status["lastState"]["terminated"]["containerID"].as_str().ok_or_else(|| {
            Failure::bad_request(format!(
                "previous terminated container {container:?} in pod {name:?} not found"
            ))
        })?;
        let newest_is_dead = status["state"]["running"].is_null();
        let is_newest = runs.last().is_some_and(|run| run.id == id);
        // A node keeps one dead container.
        let kept = runs.iter().find(|run| run.id == id).filter(|_| is_newest || !newest_is_dead);
        return Ok(kept.cloned().map_or_else(|| Chosen::Removed(id.to_owned()), Chosen::Run));
    }
    if let Some(run) = runs.last() {
        return Ok(Chosen::Run(run.clone()));
    }
    let why = match status["state"]["waiting"]["reason"].as_str() {
        Some("ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName") => {
            "image can't be pulled"
        }
        Some(reason) => reason,
        None => "ContainerCreating",
    };
    Err(Failure::bad_request(format!("container {container:?} in pod {name:?} is waiting to start: {why}")))
}

fn container(call: &Call, pod: &Value) -> Result<String, Failure> {
    let names = |list: &str| -> Vec<String> {
        let all = pod["spec"][list].as_array().into_iter().flatten();
        all.filter_map(|it| it["name"].as_str()).map(str::to_owned).collect()
    };
    let (main, init) = (names("containers"), names("initContainers"));
    match call.query.get("container") {
        Some(name) if main.iter().chain(&init).any(|it| it == name) => Ok(name.to_owned()),
        Some(name) => {
            Err(Failure::bad_request(format!("container {name} is not valid for pod {}", call.target.name)))
        }
        None if main.len() == 1 => Ok(main[0].clone()),
        None => Err(Failure::bad_request(format!(
            "a container name must be specified for pod {}, choose one of: [{}]",
            call.target.name,
            main.join(" ")
        ))),
    }
}

fn options(call: &Call) -> Result<Options, Failure> {
    let mut causes = Vec::new();
    let mut number = |name: &str| {
        let value: i64 = call.query.get(name)?.parse().ok()?;
        if value < 0 {
            causes.push(Cause::invalid(name, &value.to_string(), "must be greater than or equal to 0"));
        }
        usize::try_from(value).ok()
    };
    let (tail, limit, seconds) = (number("tailLines"), number("limitBytes"), number("sinceSeconds"));
    let time = match call.query.get("sinceTime") {
        None => None,
        Some(text) => Some(text.parse::<Timestamp>().map_err(|_| {
            let layout = "2006-01-02T15:04:05Z07:00";
            Failure::bad_request(format!(
                "parsing time {text:?} as {layout:?}: cannot parse {text:?} as \"2006\""
            ))
        })?),
    };
    if time.is_some() && seconds.is_some() {
        causes.push(Cause::forbidden("[]", "at most one of `sinceTime` or `sinceSeconds` may be specified"));
    }
    if !causes.is_empty() {
        let details = json!({"name": call.target.name, "kind": "PodLogOptions"});
        return Err(Failure::invalid_as("PodLogOptions", details, &call.target.name, &causes));
    }
    let ago =
        |seconds: usize| clock::now() - SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    // The type of the API has whole seconds.
    let whole = |time: Timestamp| Timestamp::from_second(time.as_second()).unwrap_or(time);
    Ok(Options {
        follow: call.query.is_true("follow"),
        previous: call.query.is_true("previous"),
        timestamps: call.query.is_true("timestamps"),
        tail,
        since: time.map(whole).or(seconds.map(ago)),
        limit,
    })
}

fn with_type(mut reply: Reply) -> Reply {
    let headers = reply.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    reply
}

fn stream_out(journal: &Journal, options: &Options) -> Reply {
    let (mut lines, next) = journal.from(0);
    if let Some(since) = options.since {
        lines.retain(|line| line.time >= since);
    }
    if let Some(tail) = options.tail {
        lines.drain(..lines.len().saturating_sub(tail));
    }
    let output = Output {
        pieces: lines.into(),
        next,
        left: options.limit,
        journal: journal.clone(),
        timestamps: options.timestamps,
        follow: options.follow,
    };
    let stream = stream::unfold(output, async |mut output| {
        let piece = output.next().await?;
        Some((Ok(Frame::data(piece)), output))
    });
    with_type(Response::new(StreamBody::new(stream).boxed_unsync()))
}

/// Output on its way to a client.
struct Output {
    pieces: VecDeque<Line>,
    /// The number of the line after them.
    next: usize,
    /// How many bytes may still go.
    left: Option<usize>,
    journal: Journal,
    timestamps: bool,
    follow: bool,
}

impl Output {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.left == Some(0) {
                return None;
            }
            if let Some(line) = self.pieces.pop_front() {
                let mut bytes = print(&line, self.timestamps);
                if let Some(left) = &mut self.left {
                    bytes.truncate(*left);
                    *left -= bytes.len();
                }
                return Some(Bytes::from(bytes));
            }
            if !self.follow || !self.journal.wait_for(self.next).await {
                return None;
            }
            let (more, next) = self.journal.from(self.next);
            (self.pieces, self.next) = (more.into(), next);
        }
    }
}

fn print(line: &Line, timestamps: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    if timestamps {
        bytes.extend(line.time.strftime("%Y-%m-%dT%H:%M:%S.%9fZ ").to_string().into_bytes());
    }
    bytes.extend(&line.text);
    bytes
}
