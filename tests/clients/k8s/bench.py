"""What Hearth adds to a pod: a cold start through Hearth against the very same pod by itself, from its POST to its first
answer. Both take turns in one run. `cargo xtask bench k8s` runs this, over the double, whose node is made as slow as a
real one was recorded to be, or over the cluster that `HEARTH_TEST_KUBECONFIG` names.
"""

import copy
import hashlib
import http.server
import io
import json
import os
import pathlib
import statistics
import sys
import tarfile
import tempfile
import threading
import time
import uuid

import requests

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from cluster import Api, Double, Namespace, Settings, wait_until  # noqa: E402
from fixtures import deployer  # noqa: E402
from hearth import Host  # noqa: E402

ROUNDS = 10
# A kubelet looks at its pods once a second.
KUBELET_DELAY_MS = 1000
# What a cold start through Hearth may take at most, as a part of the pod's own time.
MOST_OF_COLD = 1.1

ECHO = "def handler(event, context):\n    return event\n"
EVENT = {"name": "world"}
INVOKE = "/2015-03-31/functions/function/invocations"
TOKEN = "bench"


class Parcel:
    """What the floor's pods fetch: the same files as Hearth's, served from here."""

    def __init__(self, address):
        archive = io.BytesIO()
        rie = pathlib.Path(os.environ["HEARTH_PLUGIN_PATH"]) / "rie-x86_64"
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name, content, mode in [("bin/rie", rie.read_bytes(), 0o755), ("task/handler.py", ECHO.encode(), 0o644)]:
                for folder in {name.split("/")[0]} - set(tar.getnames()):
                    entry = tarfile.TarInfo(folder)
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(entry)
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content), mode
                tar.addfile(entry, io.BytesIO(content))
        content = archive.getvalue()
        self.sha256 = hashlib.sha256(content).hexdigest()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((address, 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://{address}:{self.server.server_port}/parcel"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def model_of(pod, parcel):
    """The same pod once more, which needs neither Hearth nor a Secret."""
    keep = ("restartPolicy", "automountServiceAccountToken", "enableServiceLinks", "terminationGracePeriodSeconds", "affinity", "hostAliases", "securityContext", "volumes", "initContainers", "containers")
    spec = {name: copy.deepcopy(pod["spec"][name]) for name in keep}
    fetched = {"HEARTH_RIE_FETCH_URL": parcel.url, "HEARTH_RIE_FETCH_TOKEN": TOKEN, "HEARTH_RIE_FETCH_SHA256": parcel.sha256}
    secret = {"HEARTH_RIE_TOKEN": TOKEN}
    for container in spec["initContainers"] + spec["containers"]:
        for variable in container["env"]:
            own = fetched | secret
            if variable["name"] in own or "valueFrom" in variable:
                variable.pop("valueFrom", None)
                variable["value"] = own.get(variable["name"], "none")
    return {"apiVersion": "v1", "kind": "Pod", "spec": spec}


def floor(namespace, model):
    """Milliseconds from the POST to the first answer."""
    name = f"floor-{uuid.uuid4().hex[:8]}"
    pod = copy.deepcopy(model) | {"metadata": {"name": name}}
    session, address, done = namespace.api.session, [], threading.Event()
    url = namespace.api.cluster["server"].rstrip("/") + namespace.path("pods")
    listed = namespace.api.ask("GET", namespace.path("pods"))
    query = {"watch": "1", "fieldSelector": f"metadata.name={name}", "resourceVersion": listed["metadata"]["resourceVersion"]}
    events = session.get(url, params=query, stream=True, timeout=60)

    def watch():
        for line in events.iter_lines(chunk_size=1):
            if found := json.loads(line)["object"].get("status", {}).get("podIP"):
                address.append(found)
                done.set()
                return

    threading.Thread(target=watch, daemon=True).start()
    began = time.monotonic()
    namespace.api.ask("POST", namespace.path("pods"), pod)
    assert done.wait(60), "the floor's pod has no address"
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "Lambda-Runtime-Aws-Request-Id": "1",
        "Lambda-Runtime-Invoked-Function-Arn": "arn",
        "Hearth-Timeout-Ms": "60000",
    }
    direct = requests.Session()
    direct.trust_env = False
    while True:
        try:
            answer = direct.post(f"http://{address[0]}:8080{INVOKE}", json=EVENT, headers=headers, timeout=60)
            break
        except requests.ConnectionError:
            assert time.monotonic() < began + 60, "the floor's pod does not answer"
            time.sleep(0.002)
    took = (time.monotonic() - began) * 1000
    assert answer.json() == EVENT, answer.text
    events.close()
    namespace.remove(f"pods/{name}", gracePeriodSeconds=1)
    wait_until(lambda: not namespace.exists(f"pods/{name}"), "the floor's pod to go")
    return took


def through_hearth(host, function, namespace):
    began = time.monotonic()
    invocation = function.invoke(EVENT)
    took = (time.monotonic() - began) * 1000
    assert invocation.json == EVENT, invocation
    host.admin(f"functions/{function.name}/evict", method="POST")
    wait_until(lambda: not namespace.of(function), "the pod to go")
    return took


def measure(tell):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        real = os.environ.get("HEARTH_TEST_KUBECONFIG")
        double = None if real else Double(folder / "admin", "--kubelet-delay-ms", str(KUBELET_DELAY_MS))
        settings = Settings.of(real)
        api = Api(real or folder / "admin")
        namespace = Namespace(api, f"hearth-bench-{uuid.uuid4().hex[:8]}")
        try:
            kubeconfig = namespace.for_hearth(folder / "kubeconfig")
            (folder / "hearth.toml").write_text(f"[backends.k8s]\n{settings.toml}")
            host = Host(folder / "data", "--backend", "k8s", "--config", str(folder / "hearth.toml"), env={"KUBECONFIG": str(kubeconfig)})
            try:
                return rounds(host, settings, namespace, tell)
            finally:
                assert host.stop() == 0, host.log_path.read_text()
        finally:
            namespace.delete()
            if double:
                double.end()


def rounds(host, settings, namespace, tell):
    function = next(deployer(host.client(), "echo", Runtime=settings.python, Timeout=60))(ECHO)
    function.invoke(EVENT)
    pod = namespace.one(function)
    told = {it["name"]: it.get("value") for it in pod["spec"]["initContainers"][0]["env"]}
    model = model_of(pod, Parcel(told["HEARTH_RIE_FETCH_URL"].split("/")[2].rsplit(":", 1)[0]))
    warm = []
    for _ in range(300):
        began = time.monotonic()
        function.invoke(EVENT)
        warm.append((time.monotonic() - began) * 1000)
    host.admin(f"functions/{function.name}/evict", method="POST")
    wait_until(lambda: not namespace.of(function), "the pod to go")
    own, through = [], []
    for number in range(ROUNDS):
        tell(f"round {number + 1} of {ROUNDS}")
        turns = [lambda: own.append(floor(namespace, model)), lambda: through.append(through_hearth(host, function, namespace))]
        for turn in turns if number % 2 else reversed(turns):
            turn()
    return {"pod_cold_ms": statistics.median(own), "hearth_cold_ms": statistics.median(through), "hearth_warm_ms": statistics.median(warm)}


def main():
    as_json = "--json" in sys.argv
    figures = measure(lambda line: print(line, file=sys.stderr))
    part = figures["hearth_cold_ms"] / figures["pod_cold_ms"]
    if as_json:
        print(json.dumps(figures))
    else:
        print(f"cold start, the pod by itself  {figures['pod_cold_ms']:8.0f} ms\ncold start, through hearth     {figures['hearth_cold_ms']:8.0f} ms")
        print(f"warm invocation, through hearth{figures['hearth_warm_ms']:8.2f} ms, boto3 included\n")
        verdict = "met" if part <= MOST_OF_COLD else "MISSED"
        print(f"{verdict}: a cold start through hearth is {part:.2f} of the pod's own; at most {MOST_OF_COLD}")
    return part > MOST_OF_COLD


if __name__ == "__main__":
    sys.exit(main())
