"""A cluster as the tests use it: a real one, or the double."""

import base64
import json
import os
import pathlib
import re
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.request
from typing import NamedTuple

import requests
import yaml

LIMIT = 60
DOUBLE_START_LIMIT = 30


def wait_until(condition, what, limit=LIMIT):
    """Waits for what nobody announces; answers what the condition does."""
    deadline = time.monotonic() + limit
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited {limit} s in vain: {what}"
        time.sleep(0.05)
    return answer


def programs():
    """What pods of the machine's own image run: their users may not see it where it is."""
    plugins = pathlib.Path(os.environ["HEARTH_PLUGIN_PATH"])
    files = [os.environ["HEARTH_BIN"], plugins / "libhearth_backend_k8s.so", plugins / "rie-x86_64"]
    return [argument for file in files for argument in ("--program", str(file))]


class Double:
    """The double of a cluster, which ends with the tests."""

    def __init__(self, kubeconfig, *more):
        images = os.environ["HEARTH_TEST_IMAGES"]
        command = [os.environ["HEARTH_KUBE_DOUBLE"], "--kubeconfig", str(kubeconfig), "--images", images, "--until-stdin-ends", *more]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        watchdog = threading.Timer(DOUBLE_START_LIMIT, self.process.kill)
        watchdog.start()
        told = dict(self.process.stdout.readline().split() for _ in range(2))
        watchdog.cancel()
        self.admin = told["admin"]
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(LIMIT) == 0

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.admin}/_double/{path}", method=method, data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def fault(self, kind, **fields):
        self.ask("POST", "faults", {"kind": kind, **fields})

    def heal(self):
        self.ask("DELETE", "faults")

    def calls(self):
        """How often the API was called, by verb and resource."""
        return self.ask("GET", "calls")


BUSYBOX = os.environ.get("HEARTH_TEST_K8S_BUSYBOX", "lab.local/busybox:1")
PYTHON_IMAGE = re.compile(r"public\.ecr\.aws/lambda/python:(.*)")
DEPLOY = pathlib.Path(__file__).parents[3] / "deploy/k8s"


class Settings(NamedTuple):
    """What a cluster has: the runtime of functions in Python, and the settings of `[backends.k8s]` for its images."""

    python: str
    toml: str

    @classmethod
    def of(cls, is_real):
        python = os.environ.get("HEARTH_TEST_K8S_PYTHON", "python3.12") if is_real else python_of_double()
        return cls(python, f'init_image = "{BUSYBOX}"\nimages = {{ "provided.al2023" = "{BUSYBOX}" }}\n')


def python_of_double():
    """The runtime that the double has an image of."""
    with tarfile.open(os.environ["HEARTH_TEST_IMAGES"]) as archive:
        tags = [tag for image in json.load(archive.extractfile("manifest.json")) for tag in image["RepoTags"]]
    [version] = [found[1] for tag in tags if (found := PYTHON_IMAGE.fullmatch(tag))]
    return f"python{version}"


class ApiError(Exception):
    def __init__(self, status):
        super().__init__(status.get("message"))
        self.code = status.get("code")
        self.reason = status.get("reason")


class Api:
    """An API server, as a kubeconfig says how to reach it."""

    def __init__(self, kubeconfig):
        self.config = yaml.safe_load(open(kubeconfig))
        context = self.named("contexts", self.config["current-context"])["context"]
        self.cluster = self.named("clusters", context["cluster"])["cluster"]
        user = self.named("users", context["user"])["user"]
        self.session = requests.Session()
        self.session.trust_env = False
        self.files = tempfile.TemporaryDirectory()
        self.session.verify = self.file(self.cluster, "certificate-authority") or not self.cluster.get("insecure-skip-tls-verify", False)
        if certificate := self.file(user, "client-certificate"):
            self.session.cert = (certificate, self.file(user, "client-key"))
        if token := user.get("token"):
            self.session.headers["Authorization"] = f"Bearer {token}"

    def named(self, kind, name):
        return next(it for it in self.config[kind] if it["name"] == name)

    def file(self, holder, name):
        """The path of a file that is named or written out."""
        if path := holder.get(name):
            return path
        if not (data := holder.get(f"{name}-data")):
            return None
        path = os.path.join(self.files.name, name)
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
        return path

    def with_token(self, token, namespace, path):
        """Writes a kubeconfig for the same cluster and somebody else."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": self.cluster}],
            "users": [{"name": "tests", "user": {"token": token}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests", "namespace": namespace}}],
            "current-context": "tests",
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def ask(self, method, path, body=None, **parameters):
        url = self.cluster["server"].rstrip("/") + path
        answer = self.session.request(method, url, json=body, params=parameters, timeout=LIMIT)
        if answer.status_code >= 400:
            try:
                raise ApiError(answer.json())
            except ValueError:
                raise ApiError({"code": answer.status_code, "message": answer.text})
        return answer.json() if "json" in answer.headers.get("Content-Type", "") else answer.text


class Namespace:
    """A namespace of the tests' own, which refuses what the restricted standard does."""

    def __init__(self, api, name):
        self.api = api
        self.name = name
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        api.ask("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        # It is made a moment later, and no pod without it.
        wait_until(lambda: self.exists("serviceaccounts/default"), "the namespace to have a ServiceAccount")

    def delete(self):
        self.api.ask("DELETE", f"/api/v1/namespaces/{self.name}")

    def path(self, what, group=None):
        root = f"/apis/{group}" if group else "/api/v1"
        return f"{root}/namespaces/{self.name}/{what}"

    def make(self, manifest):
        """Makes what a manifest says, in this namespace."""
        plural = manifest["kind"].lower() + "s"
        group = manifest["apiVersion"] if "/" in manifest["apiVersion"] else None
        for subject in manifest.get("subjects", []):
            subject["namespace"] = self.name
        return self.api.ask("POST", self.path(plural, group), manifest)

    def remove(self, what, group=None, **parameters):
        return self.api.ask("DELETE", self.path(what, group), **parameters)

    def exists(self, what):
        try:
            return self.api.ask("GET", self.path(what))
        except ApiError as error:
            assert error.code == 404, error
            return None

    def for_hearth(self, path):
        """A kubeconfig of somebody with the rights that deploy/k8s gives, and no others."""
        for manifest in yaml.safe_load_all((DEPLOY / "rbac.yaml").read_text()):
            self.make(manifest)
        self.api.with_token(self.token("hearth"), self.name, path)
        # A right that was given is known a moment later.
        attributes = {"namespace": self.name, "verb": "create", "resource": "pods"}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
        hearth = Api(path)
        reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        wait_until(lambda: hearth.ask("POST", reviews, review)["status"]["allowed"], "the rights to be known")
        return path

    def token(self, account):
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
        return self.api.ask("POST", self.path(f"serviceaccounts/{account}/token"), body)["status"]["token"]

    def pods(self, selector=""):
        return self.api.ask("GET", self.path("pods"), labelSelector=selector)["items"]

    def of(self, function):
        """The pods of a function."""
        return self.pods(f"hearth.function={function.name}")

    def one(self, function):
        [pod] = self.of(function)
        return pod

    def secrets(self):
        listed = self.api.ask("GET", self.path("secrets"), labelSelector="app.kubernetes.io/managed-by=hearth")
        return [it["metadata"]["name"] for it in listed["items"]]
