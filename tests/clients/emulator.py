"""A running `rie`: the emulator by itself, used as one uses `aws-lambda-rie`."""

import base64
import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

from hearth import ANSWER_LIMIT, START_LIMIT, Invoked

INVOKE = "/2015-03-31/functions/function/invocations"


class Emulator:
    """`rie` around a command that speaks the Runtime API, in a folder that the command finds itself in.

    It ends with its `with`, and must end well.
    """

    def __init__(self, command, folder, **settings):
        rie = pathlib.Path(os.environ["HEARTH_BIN"]).with_name("rie")
        self.port, runtime_api = free_ports()
        addresses = [f"--runtime-interface-emulator-address=127.0.0.1:{self.port}"]
        addresses.append(f"--runtime-api-address=127.0.0.1:{runtime_api}")
        self.process = subprocess.Popen([rie, *addresses, *command], cwd=folder, env=os.environ | settings)
        self._wait_until_listening()

    def wait_until_ready(self):
        """Waits for the end of the function's init, whatever it comes to."""
        self._ask("GET", "/_hearth/instance").read()

    def _wait_until_listening(self):
        deadline = time.monotonic() + START_LIMIT
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                return socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                time.sleep(0.005)
        raise RuntimeError(f"rie does not listen, exit status {self.process.poll()}")

    def _ask(self, method, path, body=None, headers={}):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_LIMIT)
        connection.request(method, path, body, {"Connection": "close", **headers})
        return connection.getresponse()

    def invoke(self, *event, LogType="None"):
        """Invokes the function with this event, or with an empty object, as `Function.invoke` does."""
        payload = json.dumps(event[0] if event else {})
        return Answer(self._ask("POST", INVOKE, payload, {"X-Amz-Log-Type": LogType}))

    def stream(self, event):
        """Begins an invocation whose response is read while it is written."""
        headers = {"Hearth-Response-Mode": "streaming", "TE": "trailers"}
        return self._ask("POST", INVOKE, json.dumps(event), headers)

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        self.process.terminate()
        try:
            status = self.process.wait(START_LIMIT)
        finally:
            self.process.kill()
        assert failure or status == 0


def python_emulator(folder, *, Handler="handler.handler", Timeout=3, Environment=None):
    """`rie` around AWS's own client for Python, as it is published. The settings are those of CreateFunction."""
    # As the bootstrap of AWS's images starts it.
    command = ["/bin/sh", "-c", 'exec $AWS_LAMBDA_EXEC_WRAPPER "$@"', "bootstrap"]
    command += [sys.executable, "-m", "awslambdaric", Handler]
    variables = (Environment or {}).get("Variables", {})
    return Emulator(command, folder, AWS_LAMBDA_FUNCTION_TIMEOUT=str(Timeout), **variables)


class Answer(Invoked):
    """What an invocation was answered with by the emulator."""

    def __init__(self, response):
        self.status = response.status
        self.error = response.headers.get("X-Amz-Function-Error")
        self.request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
        self.log = base64.b64decode(response.headers.get("X-Amz-Log-Result", "")).decode()
        self.payload = response.read()


def free_ports():
    """Two that differ: both are taken before either is given back."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]
