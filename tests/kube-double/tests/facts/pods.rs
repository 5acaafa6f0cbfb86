//! Facts 39 to 42: logs, proxy, resize, downward API.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use hearth_tests::{Stopwatch, wait_until};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::cluster::{Answer, Call, Cluster, LIMIT, path, pod, unschedulable, willing, with};
use crate::recorded;
use crate::stream::Watch;

fn log(cluster: &Cluster, query: &str) -> Answer {
    cluster.get(&path(&format!("pods/{query}")))
}

#[track_caller]
fn wait_for_log(cluster: &Cluster, query: &str, expected: &str) {
    let read = || Some(log(cluster, query)).filter(|it| it.body == expected.as_bytes());
    let found = wait_until(expected, LIMIT, read);
    found.unwrap_or_else(|problem| panic!("{problem}; it is {:?}", log(cluster, query).json()));
}

#[test]
fn fact_39_logs() {
    let cluster = Cluster::start();
    let script = "for n in 1 2 3; do echo line $n; done; printf 'no newline at end'; sleep 60";
    cluster.make("pods", &pod("logs", script));
    wait_for_log(&cluster, "logs/log", "line 1\nline 2\nline 3\n");
    for (query, expected) in [
        ("tailLines=2", "line 2\nline 3\n"),
        ("tailLines=0", ""),
        ("limitBytes=10", "line 1\nlin"),
        ("container=fn&tailLines=1", "line 3\n"),
    ] {
        let answer = log(&cluster, &format!("logs/log?{query}"));
        assert_eq!(String::from_utf8_lossy(&answer.body), expected, "{query}");
        assert_eq!(answer.header("content-type"), Some("text/plain"));
    }
    let stamped = String::from_utf8(log(&cluster, "logs/log?timestamps=true&tailLines=1").body).unwrap();
    let (time, line) = stamped.split_once(' ').unwrap();
    assert_eq!((time.len(), line), ("2026-11-23T17:15:59.006496126Z".len(), "line 3\n"));
    let since = log(&cluster, &format!("logs/log?sinceTime={time}"));
    assert_eq!(since.body, b"line 1\nline 2\nline 3\n", "whole seconds are counted");
    for (query, recording, status) in [
        ("logs/log?container=nope", "log-bad-container", 400),
        ("logs/log?sinceTime=yesterday", "log-bad-since", 400),
        ("logs/log?tailLines=-1", "log-bad-tail", 422),
        ("logs/log?sinceSeconds=1&sinceTime=2026-11-23T17:00:00Z", "log-both-since", 422),
        ("logs/log?previous=true", "log-previous-none", 400),
        ("gone/log", "log-missing-pod", 404),
    ] {
        recorded::same(&format!("06-logs/{recording}.json"), status, &log(&cluster, query));
    }
    other_logs(&cluster);
}

fn other_logs(cluster: &Cluster) {
    cluster.make("pods", &pod("logs-part", "printf 'no newline at end'"));
    cluster.wait_for_phase("logs-part", "Succeeded");
    wait_for_log(cluster, "logs-part/log", "no newline at end");
    wait_for_log(cluster, "logs-part/log?follow=true", "no newline at end");
    let stuck = with(pod("logs-wait", "true"), "/spec/containers/0/image", json!("lab.local/none:1"));
    cluster.make("pods", &stuck);
    cluster.wait_for(&path("pods/logs-wait"), "an address", |pod| pod["status"]["podIP"].is_string());
    recorded::same("06-logs/log-image-pull.json", 400, &log(cluster, "logs-wait/log"));
    cluster.make("pods", &unschedulable("logs-un"));
    let unscheduled = log(cluster, "logs-un/log");
    assert_eq!((unscheduled.status, unscheduled.body.len()), (204, 0));
    let mut two = willing("logs2");
    let first = two["spec"]["containers"][0].clone();
    two["spec"]["containers"] = json!([first, with(first.clone(), "/name", json!("side"))]);
    cluster.make("pods", &two);
    recorded::same("06-logs/log-need-container.json", 400, &log(cluster, "logs2/log"));

    cluster.make(
        "pods",
        &pod("ticks", "trap 'echo got TERM; exit 0' TERM; echo tick; while true; do sleep 0.05; done"),
    );
    cluster.wait_for_phase("ticks", "Running");
    let call = Call { method: "GET", path: &path("pods/ticks/log?follow=true"), ..Call::default() };
    let mut lines = BufReader::new(cluster.send(&call)).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "tick"));
    cluster.delete(&path("pods/ticks?gracePeriodSeconds=5")).object();
    assert!(lines.any(|line| line == "got TERM"));
    assert_eq!(lines.filter(|line| !line.is_empty()).last().unwrap(), "0", "the stream ends by itself");
    cluster.wait_for_absence(&path("pods/ticks"));
    assert_eq!(log(cluster, "ticks/log").status, 404);
}

const ECHO: &str = r#"
import http.server, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        seen = f"{self.command} {self.path} {len(body)} {self.headers['Authorization']}".encode()
        self.answer(500 if self.path == "/500" else 200, "text/plain", seen)
    def do_GET(self):
        if self.path == "/stream":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for number in range(3):
                self.wfile.write(b"8\r\nchunk %d\n\r\n" % number)
                self.wfile.flush()
                time.sleep(0.3)
            self.wfile.write(b"0\r\n\r\n")
        elif self.path == "/html":
            self.answer(200, "text/html", b'<a href="/next">n</a>')
        elif self.path == "/redirect":
            self.answer(302, "text/plain", b"", [("Location", "/elsewhere")])
        else:
            self.answer(404, "text/plain", b"not here")
    def answer(self, status, kind, body, headers=()):
        self.send_response(status)
        for name, value in [("Content-Type", kind), ("Content-Length", str(len(body))), *headers]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"#;

#[test]
fn fact_40_the_proxy_passes_nearly_everything() {
    let cluster = Cluster::start();
    let probe = json!({"tcpSocket": {"port": 8080}, "periodSeconds": 1});
    let echo = with(pod("echo", ""), "/spec/containers/0/command", json!(["python3", "-c", ECHO]));
    cluster.make("pods", &with(echo, "/spec/containers/0/readinessProbe", probe));
    let is_ready = |pod: &Value| pod["status"]["containerStatuses"][0]["ready"] == true;
    cluster.wait_for(&path("pods/echo"), "it to be ready", is_ready);
    let through = |method: &str, rest: &str, body: Vec<u8>| {
        cluster.call(&Call {
            method,
            path: &path(&format!("pods/echo:8080/proxy/{rest}")),
            body,
            ..Call::default()
        })
    };
    let text = |answer: &Answer| String::from_utf8_lossy(&answer.body).into_owned();
    let large = through("POST", "a/b%20c?x=1&y=%2F", vec![b'x'; 5_500_000]);
    assert_eq!(text(&large), "POST /a/b%20c?x=1&y=%2F 5500000 None");
    let own = through("POST", "500", b"{}".to_vec());
    assert_eq!((own.status, text(&own)), (500, "POST /500 2 None".to_owned()), "a pod's errors come through");
    assert_eq!(text(&through("GET", "nope", Vec::new())), "not here");
    let prefix = "/api/v1/namespaces/fnlab/pods/echo:8080/proxy";
    assert_eq!(text(&through("GET", "html", Vec::new())), format!("<a href=\"{prefix}/next\">n</a>"));
    let redirect = through("GET", "redirect", Vec::new());
    assert_eq!(redirect.header("location"), Some(&*format!("{prefix}/elsewhere")));

    let streaming = Stopwatch::start();
    let call = Call { method: "GET", path: &path("pods/echo:8080/proxy/stream"), ..Call::default() };
    let mut lines = BufReader::new(cluster.send(&call)).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "chunk 0"));
    let first = streaming.elapsed();
    assert!(lines.any(|line| line == "chunk 2"));
    assert!(streaming.elapsed() > first + Duration::from_millis(500), "chunks come one by one");

    let closed = cluster.get(&path("pods/echo:9999/proxy/x"));
    assert_eq!((closed.status, closed.json()["reason"].as_str()), (503, Some("ServiceUnavailable")));
    recorded::same("07-proxy/proxy-missing-pod.json", 404, &cluster.get(&path("pods/gone:8080/proxy/x")));
    cluster.make("pods", &unschedulable("px-un"));
    recorded::same("07-proxy/proxy-unscheduled.json", 400, &cluster.get(&path("pods/px-un:8080/proxy/x")));
}

#[test]
fn a_port_is_forwarded_over_a_websocket() {
    let cluster = Cluster::start();
    let probe = json!({"tcpSocket": {"port": 8080}, "periodSeconds": 1});
    let echo = with(pod("echo", ""), "/spec/containers/0/command", json!(["python3", "-c", ECHO]));
    cluster.make("pods", &with(echo, "/spec/containers/0/readinessProbe", probe));
    let is_ready = |pod: &Value| pod["status"]["containerStatuses"][0]["ready"] == true;
    cluster.wait_for(&path("pods/echo"), "it to be ready", is_ready);
    let mut socket = cluster.web_socket(&path("pods/echo/portforward?ports=8080,9999"));
    let mut next = || socket.read().unwrap().into_data();
    // 8080 and 9999, each on two channels, and nothing behind the second.
    for announced in [[0, 0x90, 0x1f], [1, 0x90, 0x1f], [2, 0x0f, 0x27], [3, 0x0f, 0x27]] {
        assert_eq!(next(), announced[..]);
    }
    let refused = next();
    assert_eq!(refused[0], 3);
    assert!(String::from_utf8_lossy(&refused).contains("error forwarding port 9999"));
    let request = b"\0GET /nope HTTP/1.1\r\nHost: echo\r\nConnection: close\r\n\r\n";
    socket.send(Message::binary(&request[..])).unwrap();
    let mut answer = Vec::new();
    while let Ok(Message::Binary(message)) = socket.read() {
        assert_eq!(message[0], 0);
        answer.extend(&message[1..]);
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404") && answer.ends_with("not here"), "{answer}");
}

#[test]
fn fact_41_resources_change_in_place() {
    let cluster = Cluster::start();
    let resources =
        json!({"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}});
    cluster.make("pods", &with(willing("rsz"), "/spec/containers/0/resources", resources));
    cluster.wait_for_phase("rsz", "Running");
    let memory = |requests: &str, limits: &str| {
        json!({"spec": {"containers": [{"name": "fn", "resources": {
            "requests": {"memory": requests}, "limits": {"memory": limits},
        }}]}})
    };
    let resize = |patch: &Value| cluster.patch("strategic-merge", &path("pods/rsz/resize"), patch);
    let mut watch = Watch::of_pod(&cluster, "rsz");
    let grown = resize(&memory("128Mi", "128Mi")).object();
    assert_eq!(grown["metadata"]["generation"], 2);
    let in_force = |event: &Value| {
        event["object"]["status"]["containerStatuses"][0]["resources"]["limits"]["memory"] == "128Mi"
    };
    let events = watch.until(in_force);
    let progress =
        |event: &Value| event["object"]["status"]["conditions"][0]["type"] == "PodResizeInProgress";
    assert_eq!(events.iter().map(progress).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(events[2]["object"]["status"]["containerStatuses"][0]["restartCount"], 0);
    recorded::same("08-resize/3-memory-down.json", 422, &resize(&memory("64Mi", "64Mi")));
    let guaranteed = json!({"spec": {"containers": [{"name": "fn", "resources": {
        "requests": {"cpu": "200m", "memory": "128Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"},
    }}]}});
    let class = resize(&guaranteed);
    assert_eq!(class.json()["details"]["causes"][0]["field"], "spec");
    resize(&memory("500Gi", "500Gi")).object();
    let conditions = |pod: &Value| pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let is_pending = |pod: &Value| conditions(pod).iter().any(|it| it["type"] == "PodResizePending");
    let pod = cluster.wait_for(&path("pods/rsz"), "the refusal", is_pending);
    let told = conditions(&pod).into_iter().find(|it| it["type"] == "PodResizePending").unwrap();
    assert_eq!(told["reason"], "Infeasible");
    recorded::same("08-resize/6-back.json", 422, &resize(&memory("128Mi", "128Mi")));
    let main = cluster.patch("strategic-merge", &path("pods/rsz"), &memory("500Gi", "600Gi"));
    assert_eq!(main.status, 422, "not by the object itself");
    let missing = cluster.patch("strategic-merge", &path("pods/gone/resize"), &memory("1Mi", "1Mi"));
    recorded::same("08-resize/11-missing-pod.json", 404, &missing);
}

#[test]
fn a_pod_reaches_the_api_with_the_token_of_its_account() {
    let cluster = Cluster::start();
    let script = "\
        cd /var/run/secrets/kubernetes.io/serviceaccount; python3 - <<'E'
import os, ssl, urllib.error, urllib.request
server = f\"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}\"
path = f\"/api/v1/namespaces/{open('namespace').read()}/pods\"
request = urllib.request.Request(server + path, headers={'Authorization': 'Bearer ' + open('token').read()})
try:
    urllib.request.urlopen(request, context=ssl.create_default_context(cafile='ca.crt'))
except urllib.error.HTTPError as error:
    print(error.read().decode())
E";
    let mut curious = pod("curious", script);
    curious["spec"].as_object_mut().unwrap().remove("automountServiceAccountToken");
    cluster.make("pods", &curious);
    cluster.wait_for_phase("curious", "Succeeded");
    let told = log(&cluster, "curious/log").json();
    assert_eq!(told["reason"], "Forbidden");
    assert!(told["message"].as_str().unwrap().contains("\"system:serviceaccount:fnlab:default\""), "{told}");
}

#[test]
fn pods_reach_each_other() {
    let cluster = Cluster::start();
    let probe = json!({"tcpSocket": {"port": 8080}, "periodSeconds": 1});
    let server = pod("server", "cd /dev/shm; echo hello > greeting; exec python3 -m http.server 8080");
    cluster.make("pods", &with(server, "/spec/containers/0/readinessProbe", probe));
    let is_ready = |pod: &Value| pod["status"]["containerStatuses"][0]["ready"] == true;
    let server = cluster.wait_for(&path("pods/server"), "it to be ready", is_ready);
    let url = format!("http://{}:8080/greeting", server["status"]["podIP"].as_str().unwrap());
    let ask = format!("import urllib.request; print(urllib.request.urlopen('{url}', timeout=5).read())");
    let ask = json!(["python3", "-c", ask]);
    cluster.make("pods", &with(pod("client", ""), "/spec/containers/0/command", ask));
    cluster.wait_for_phase("client", "Succeeded");
    wait_for_log(&cluster, "client/log", "b'hello\\n'\n");
}

#[test]
fn fact_42_an_annotation_becomes_a_file() {
    let cluster = Cluster::start();
    let field = json!({"fieldPath": "metadata.annotations['order']"});
    let volumes =
        json!([{"name": "order", "downwardAPI": {"items": [{"path": "order", "fieldRef": field}]}}]);
    let script = "while ! grep -q go /order/order; do sleep 0.02; done; cat /order/order";
    let mounts = json!([{"name": "order", "mountPath": "/order"}]);
    let waiting =
        with(with(pod("warm", script), "/spec/volumes", volumes), "/spec/containers/0/volumeMounts", mounts);
    let mut watch = Watch::of_pod(&cluster, "warm");
    cluster.make("pods", &waiting);
    watch.until(|event| event["object"]["status"]["phase"] == "Running");
    cluster.merge(&path("pods/warm"), &json!({"metadata": {"annotations": {"order": "go 42"}}})).object();
    cluster.wait_for_phase("warm", "Succeeded");
    wait_for_log(&cluster, "warm/log", "go 42");
}
