//! A double of the test's own, and a client for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use hearth_tests::wait_until;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, WebSocket};

pub(crate) const LIMIT: Duration = Duration::from_secs(20);
const NAMESPACE: &str = "fnlab";

/// A running double with the namespace of the recordings.
pub(crate) struct Cluster {
    process: Child,
    /// It ends when this does.
    input: Option<ChildStdin>,
    pub(crate) api: String,
    pub(crate) admin: String,
    token: String,
    _folder: tempfile::TempDir,
}

/// What a request was answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// A request as recordings have it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    /// With the query.
    pub(crate) path: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) body: Vec<u8>,
    /// None at all if it is empty; the administrator's by default.
    pub(crate) token: Option<&'a str>,
    pub(crate) accept: &'a str,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// The object, of an answer that is none but good.
    #[track_caller]
    pub(crate) fn object(&self) -> Value {
        assert!(self.status < 300, "{} {}", self.status, self.json());
        self.json()
    }
}

impl Cluster {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The kubelet tells of each step a little late, so that what is short is not seen, as on a real node.
    pub(crate) fn start_lifelike() -> Self {
        Self::start_with(&["--kubelet-delay-ms", "300", "--back-off-ms", "800", "--eviction-ms", "200"])
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        let mut process = Command::new(env!("CARGO_BIN_EXE_kube-double"))
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            .arg("--until-stdin-ends")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut address = || lines.next().unwrap().unwrap().rsplit("//").next().unwrap().to_owned();
        let (api, admin) = (address(), address());
        let config: Value = serde_json::from_slice(&std::fs::read(kubeconfig).unwrap()).unwrap();
        let token = config["users"][0]["user"]["token"].as_str().unwrap().to_owned();
        let input = process.stdin.take();
        let cluster = Self { process, input, api, admin, token, _folder: folder };
        cluster.post("/api/v1/namespaces", &json!({"metadata": {"name": NAMESPACE}})).object();
        cluster
    }

    pub(crate) fn call(&self, call: &Call<'_>) -> Answer {
        let mut stream = self.send(call);
        let mut answer = Vec::new();
        // What breaks off in the middle is an answer as well.
        drop(stream.read_to_end(&mut answer));
        parse(&answer)
    }

    /// Sends a request and leaves the answer to the caller.
    pub(crate) fn send(&self, call: &Call<'_>) -> TcpStream {
        let mut stream = TcpStream::connect(&self.api).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let accept = if call.accept.is_empty() { "application/json" } else { call.accept };
        let mut head = vec![
            format!("{} {} HTTP/1.1", call.method, call.path),
            format!("Host: {}", self.api),
            format!("Accept: {accept}"),
            "Connection: close".to_owned(),
        ];
        let token = call.token.unwrap_or(&self.token);
        if !token.is_empty() {
            head.push(format!("Authorization: Bearer {token}"));
        }
        if !call.body.is_empty() {
            let content_type =
                if call.content_type.is_empty() { "application/json" } else { call.content_type };
            head.push(format!("Content-Type: {content_type}"));
            head.push(format!("Content-Length: {}", call.body.len()));
        }
        stream.write_all(format!("{}\r\n\r\n", head.join("\r\n")).as_bytes()).unwrap();
        // A server that refuses a large body does not read all of it.
        drop(stream.write_all(&call.body));
        stream
    }

    pub(crate) fn web_socket(&self, path: &str) -> WebSocket<TcpStream> {
        let mut request = format!("ws://{}{path}", self.api).into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("Authorization", format!("Bearer {}", self.token).parse().unwrap());
        headers.insert("Sec-WebSocket-Protocol", "v4.channel.k8s.io".parse().unwrap());
        let stream = TcpStream::connect(&self.api).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        tungstenite::client(request, stream).unwrap().0
    }

    /// Ends the double as nothing can be prepared for.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call(&Call { method: "GET", path, ..Call::default() })
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(&Call { method: "POST", path, body: body.to_string().into(), ..Call::default() })
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Answer {
        self.call(&Call { method: "PUT", path, body: body.to_string().into(), ..Call::default() })
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.call(&Call { method: "DELETE", path, ..Call::default() })
    }

    pub(crate) fn delete_with(&self, path: &str, options: &Value) -> Answer {
        self.call(&Call { method: "DELETE", path, body: options.to_string().into(), ..Call::default() })
    }

    /// A patch of this kind: `merge`, `strategic-merge`, `json`.
    pub(crate) fn patch(&self, kind: &str, path: &str, patch: &Value) -> Answer {
        let content_type = &format!("application/{kind}-patch+json");
        let body = patch.to_string().into();
        self.call(&Call { method: "PATCH", path, content_type, body, ..Call::default() })
    }

    pub(crate) fn merge(&self, path: &str, patch: &Value) -> Answer {
        self.patch("merge", path, patch)
    }

    /// Makes an object in the namespace of the recordings.
    #[track_caller]
    pub(crate) fn make(&self, what: &str, object: &Value) -> Value {
        self.post(&path(what), object).object()
    }

    pub(crate) fn fault(&self, fault: &Value) {
        self.admin("POST", "/_double/faults", &fault.to_string());
    }

    pub(crate) fn admin(&self, method: &str, path: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(&self.admin).unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: double\r\nConnection: close\r\n");
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        parse(&answer).object()
    }

    /// Waits until the object at this path is as it shall be.
    #[track_caller]
    pub(crate) fn wait_for(&self, path: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let found = wait_until(what, LIMIT, || Some(self.get(path).json()).filter(&holds));
        found.unwrap_or_else(|problem| panic!("{problem}; it is {}", self.get(path).json()))
    }

    #[track_caller]
    pub(crate) fn wait_for_phase(&self, pod: &str, phase: &str) -> Value {
        self.wait_for(&path(&format!("pods/{pod}")), phase, |pod| pod["status"]["phase"] == *phase)
    }

    /// Waits until nothing is at this path.
    #[track_caller]
    pub(crate) fn wait_for_absence(&self, path: &str) {
        wait_until("it to go", LIMIT, || (self.get(path).status == 404).then_some(())).unwrap();
    }

    /// A token of an account that may do nothing, or what a role of these rules permits.
    pub(crate) fn account(&self, name: &str, rules: &Value) -> String {
        self.make("serviceaccounts", &json!({"metadata": {"name": name}}));
        let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}");
        let role = json!({"metadata": {"name": "lister"}, "rules": rules});
        self.post(&format!("{rbac}/roles"), &role).object();
        let binding = json!({
            "metadata": {"name": "lister"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "lister"},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}],
        });
        self.post(&format!("{rbac}/rolebindings"), &binding).object();
        let request = json!({"spec": {"expirationSeconds": 3600}});
        let token = self.make(&format!("serviceaccounts/{name}/token"), &request);
        token["status"]["token"].as_str().unwrap().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.input.take());
        self.process.wait().unwrap();
    }
}

/// A path in the namespace of the recordings.
pub(crate) fn path(what: &str) -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/{what}")
}

/// A pod of one container that runs a script, as small as the recordings' are.
pub(crate) fn pod(name: &str, script: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "fn"}},
        "spec": {
            "restartPolicy": "Never", "automountServiceAccountToken": false, "enableServiceLinks": false,
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "fn", "image": "lab.local/busybox:1", "imagePullPolicy": "IfNotPresent",
                "command": ["sh", "-c", script],
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
            }],
        },
    })
}

/// A pod that lives until it is told to end, and does so well.
pub(crate) fn willing(name: &str) -> Value {
    pod(name, "trap 'exit 0' TERM; while true; do sleep 0.05; done")
}

/// A pod that no node takes.
pub(crate) fn unschedulable(name: &str) -> Value {
    with(pod(name, "true"), "/spec/nodeSelector", json!({"kubernetes.io/arch": "no-such"}))
}

/// The object with another value at a place that it has, or one step below.
pub(crate) fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[name] = value;
    object
}

fn parse(answer: &[u8]) -> Answer {
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n");
    let (head, body) = end.map_or((answer, &b""[..]), |end| (&answer[..end], &answer[end + 4..]));
    let head = String::from_utf8_lossy(head).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let is_chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    Answer { status, headers, body: if is_chunked { unchunk(body) } else { body.to_vec() } }
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|it| it == b"\r\n") {
        let size = usize::from_str_radix(&String::from_utf8_lossy(&rest[..end]), 16).unwrap_or(0);
        let start = end + 2;
        if size == 0 || rest.len() < start + size {
            break;
        }
        body.extend(&rest[start..start + size]);
        rest = &rest[start + size + 2..];
    }
    body
}
