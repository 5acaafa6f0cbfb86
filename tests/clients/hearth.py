"""A running hearth, and what the tests say to it."""

import base64
import contextlib
import io
import json
import os
import pathlib
import re
import stat
import subprocess
import threading
import time
import urllib.request
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

REGION = "us-east-1"
ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/lambda-role"
START_LIMIT = 30
ANSWER_LIMIT = 60
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Host:
    """One `hearth` on a free port, in a data directory that the caller provides."""

    def __init__(self, data_dir, *args, env=None, listen="127.0.0.1:0"):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")}
        clean["HEARTH_PLUGIN_PATH"] = os.environ["HEARTH_PLUGIN_PATH"]
        command = [os.environ["HEARTH_BIN"], "--listen", listen, "--data-dir", str(data_dir), *args]
        self.data_dir = data_dir
        self.log_path = data_dir.parent / f"{data_dir.name}.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=clean | (env or {})
            )
        self.url = self._wait_until_serving()
        # It goes on writing to standard output at its end; somebody must read that.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    @classmethod
    def at(cls, url):
        """One that somebody else has started, and will stop."""
        host = cls.__new__(cls)
        host.url = url
        return host

    def _wait_until_serving(self):
        watchdog = threading.Timer(START_LIMIT, self.process.kill)
        watchdog.start()
        for line in self.process.stdout:
            found = re.search(rb" listening on (http://\S+)", line)
            if found:
                watchdog.cancel()
                return found[1].decode().replace("0.0.0.0", "127.0.0.1")
        raise RuntimeError(f"hearth ended before it served:\n{self.log_path.read_text()}")

    def client(self, region=REGION, access_key="test", **config):
        """A boto3 client that tries each request once and keeps the last raw answer as `last_answer`."""
        client = boto3.client(
            "lambda",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=access_key,
            aws_secret_access_key="test",
            config=Config(
                retries={"total_max_attempts": 1},
                read_timeout=ANSWER_LIMIT,
                max_pool_connections=64,
                proxies={},
                # What is refused is to be refused by the host.
                parameter_validation=False,
                **config,
            ),
        )
        client.meta.events.register("after-call.lambda", lambda http_response, **_: _keep(client, http_response))
        return client

    def admin(self, path, method="GET"):
        """Asks the admin API; answers the JSON document, or the text where it is none."""
        request = urllib.request.Request(f"{self.url}/_hearth/{path}", method=method)
        with urllib.request.urlopen(request, timeout=ANSWER_LIMIT) as answer:
            body = answer.read()
            return json.loads(body) if answer.headers["content-type"] == "application/json" else body.decode()

    def backend_process(self):
        """The number of the process that holds the backend; nothing while it has none of its own."""
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            # It may have ended meanwhile.
            with contextlib.suppress(OSError):
                head, tail = stat.read_text().rsplit(")", 1)
                if head.endswith("(hearth-backend") and int(tail.split()[1]) == self.process.pid:
                    return int(stat.parent.name)
        return None

    def stop(self):
        """Ends it with SIGTERM; answers the exit status."""
        self.process.terminate()
        try:
            return self.process.wait(START_LIMIT)
        finally:
            self.process.kill()


def _keep(client, http_response):
    client.last_answer = http_response


class Refusal:
    """What a refused request was answered with, as boto3 understood it and as it was on the wire."""

    def __init__(self, error, client):
        self.status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        self.kind = error.response["Error"]["Code"]
        self.message = error.response["Error"]["Message"]
        self.body = json.loads(client.last_answer.content)

    def __eq__(self, other):
        return (self.status, self.kind, self.message) == other

    def __repr__(self):
        return repr((self.status, self.kind, self.message))


def refusal(client, operation, **parameters):
    """Makes a request that must be refused."""
    try:
        answer = getattr(client, operation)(**parameters)
    except ClientError as error:
        return Refusal(error, client)
    raise AssertionError(f"{operation} was granted: {answer}")


class Invoked:
    """An invocation's answer: the `payload` and the `log`, and what can be read in them."""

    @property
    def json(self):
        return json.loads(self.payload)

    @property
    def log_lines(self):
        return self.log.splitlines(keepends=True)

    def __repr__(self):
        return f"{self.status} {self.error} {self.payload[:2000]!r}"


class Invocation(Invoked):
    """What an invocation was answered with by a host."""

    def __init__(self, response):
        self.status = response["StatusCode"]
        self.error = response.get("FunctionError")
        self.version = response.get("ExecutedVersion")
        self.payload = response["Payload"].read()
        self.request_id = response["ResponseMetadata"]["RequestId"]
        self.headers = response["ResponseMetadata"]["HTTPHeaders"]
        self.log = base64.b64decode(response["LogResult"]).decode() if "LogResult" in response else None


class Function:
    """A deployed function."""

    def __init__(self, client, name):
        self.client = client
        self.name = name
        self.arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"

    def invoke(self, *event, **parameters):
        """Invokes it with this event, or with an empty object; `Payload` is for what is not JSON."""
        payload = parameters.pop("Payload", None)
        if payload is None:
            payload = json.dumps(event[0] if event else {})
        return Invocation(self.client.invoke(FunctionName=self.name, Payload=payload, **parameters))

    def update_code(self, files):
        self.client.update_function_code(FunctionName=self.name, ZipFile=zip_of(files))
        self.wait_until_updated()

    def wait_until_active(self):
        wait(self.client, "function_active_v2", self.name)

    def wait_until_updated(self):
        wait(self.client, "function_updated_v2", self.name)


class Stream:
    """A response that is being received."""

    def __init__(self, function, event, client=None, **parameters):
        client = client or function.client
        payload = json.dumps(event)
        self.answer = client.invoke_with_response_stream(FunctionName=function.name, Payload=payload, **parameters)
        self.events = iter(self.answer["EventStream"])
        self.complete = None

    def chunk(self):
        return next(self.events)["PayloadChunk"]["Payload"]

    def chunks(self):
        """Those that are left, up to the last event, which must be the end."""
        for event in self.events:
            if "InvokeComplete" in event:
                self.complete = event["InvokeComplete"]
                assert next(self.events, None) is None
                return
            yield event["PayloadChunk"]["Payload"]

    def rest(self):
        return b"".join(self.chunks())

    @property
    def error(self):
        return self.complete.get("ErrorCode"), json.loads(self.complete["ErrorDetails"])

    def hang_up(self):
        self.answer["EventStream"].close()


def wait(client, waiter, name):
    """The official waiter, which looks more often than it does by itself."""
    client.get_waiter(waiter).wait(FunctionName=name, WaiterConfig={"Delay": 0.02, "MaxAttempts": 3000})


def wait_for_file(path, limit=ANSWER_LIMIT):
    """Waits until a function has made a file: the only thing it can tell while it runs."""
    wait_until(path.exists, lambda: f"{path} was not made", limit)


def wait_until(holds, otherwise, limit=ANSWER_LIMIT):
    """Waits until something holds; `otherwise` says what is there instead."""
    deadline = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < deadline, f"{otherwise()} in {limit} s"
        time.sleep(0.005)


def zip_of(files):
    """A zip with these files, `{name: text or bytes}`; all may be read and run by everybody."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in files.items():
            package.writestr(entry(name), content)
    return buffer.getvalue()


def entry(name, mode=stat.S_IFREG | 0o755):
    """The head of a file in a zip; the same input makes the same zip."""
    info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = mode << 16
    return info
