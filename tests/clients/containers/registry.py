"""A registry with one image, which asks who pulls and can be made to wait."""

import base64
import hashlib
import io
import json
import os
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Registry:
    """Serves an image of the engine as `address/name:tag` to whoever knows the name and the password."""

    def __init__(self, image, name, password):
        self.authorization = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
        self.blobs, self.manifest = contents(image)
        self.pulls = 0
        self.may_go_on = threading.Event()
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                registry.answer(self)

            def do_HEAD(self):
                registry.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.may_go_on.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request):
        if request.headers["Authorization"] != self.authorization:
            return self.send(request, 401, b"{}", {"WWW-Authenticate": 'Basic realm="tests"'})
        kind, _, reference = request.path.rpartition("/")
        if request.path == "/v2/":
            self.send(request, 200, b"{}", {})
        elif kind.endswith("/manifests"):
            self.pulls += request.command == "GET"
            digest = f"sha256:{hashlib.sha256(self.manifest).hexdigest()}"
            self.send(request, 200, self.manifest, {"Content-Type": MANIFEST, "Docker-Content-Digest": digest})
        elif reference in self.blobs:
            self.send(request, 200, self.blobs[reference], {})
        else:
            self.send(request, 404, b"{}", {})

    def send(self, request, status, body, headers):
        request.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command == "HEAD":
            return
        # All but the end of what is long: a pull shows how far it is, and is not over.
        held_back = 1000 if len(body) > 1_000_000 else 0
        request.wfile.write(body[: len(body) - held_back])
        request.wfile.flush()
        if held_back:
            self.may_go_on.wait(60)
            request.wfile.write(body[len(body) - held_back :])


def contents(image):
    """The image as a registry has it: blobs by digest, and the manifest that names them."""
    saved = tarfile.open(fileobj=io.BytesIO(b"".join(image.save())))
    [described] = json.load(saved.extractfile("manifest.json"))
    blobs = {}

    def blob(member, kind):
        content = saved.extractfile(member).read()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        blobs[digest] = content
        return {"mediaType": f"application/vnd.docker.{kind}", "size": len(content), "digest": digest}

    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blob(described["Config"], "container.image.v1+json"),
        "layers": [blob(layer, "image.rootfs.diff.tar.gzip") for layer in described["Layers"]],
    }
    return blobs, json.dumps(manifest).encode()


def docker_config(folder, address, name, password):
    """Settings of the docker CLI with a credential helper; answers the environment in which they hold."""
    (folder / "config.json").write_text(json.dumps({"credHelpers": {address: "hearth-tests"}}))
    answer = json.dumps({"ServerURL": address, "Username": name, "Secret": password})
    helper = folder / "docker-credential-hearth-tests"
    helper.write_text(f"#!/bin/sh\nread server\necho '{answer}'\n")
    helper.chmod(0o755)
    return {"DOCKER_CONFIG": str(folder), "PATH": f"{folder}:{os.environ['PATH']}"}
