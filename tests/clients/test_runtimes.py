"""Handlers in all their forms, in Python, Node and runtimes of one's own."""

import pytest

from fixtures import NODE, needs_node
from hearth import zip_of

BOOTSTRAP = """
import http.client
import json
import os
import sys

runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
API = "/2018-06-01/runtime"

def post(path, document, headers={}):
    runtime.request("POST", f"{API}/{path}", json.dumps(document), headers)
    answer = runtime.getresponse()
    answer.read()
    return answer.status

while True:
    runtime.request("GET", f"{API}/invocation/next")
    invocation = runtime.getresponse()
    event = json.loads(invocation.read())
    request_id = invocation.headers["Lambda-Runtime-Aws-Request-Id"]
    print("event:", event, flush=True)
    if event == "fail":
        error = {"errorType": "My.Error", "errorMessage": "as asked"}
        post(f"invocation/{request_id}/error", error, {"Lambda-Runtime-Function-Error-Type": "My.Error"})
    elif event == "exit":
        sys.exit(7)
    else:
        names = ["Lambda-Runtime-Deadline-Ms", "Lambda-Runtime-Invoked-Function-Arn", "Lambda-Runtime-Trace-Id"]
        post(f"invocation/{request_id}/response", {name: invocation.headers[name] for name in names})
"""


def test_a_bootstrap_of_ones_own(deploy):
    function = deploy.provided(BOOTSTRAP)
    invocation = function.invoke("hello", LogType="Tail")
    assert invocation.error is None
    assert int(invocation.json["Lambda-Runtime-Deadline-Ms"]) > 1_700_000_000_000
    assert invocation.json["Lambda-Runtime-Invoked-Function-Arn"] == function.arn
    assert invocation.json["Lambda-Runtime-Trace-Id"].startswith("Root=1-")
    assert "event: hello\n" in invocation.log_lines

    failed = function.invoke("fail")
    assert (failed.error, failed.json) == ("Unhandled", {"errorType": "My.Error", "errorMessage": "as asked"})

    gone = function.invoke("exit")
    message = f"RequestId: {gone.request_id} Error: Runtime exited with error: exit status 7"
    assert gone.json == {"errorType": "Runtime.ExitError", "errorMessage": message}
    assert function.invoke("again").error is None


def test_a_bootstrap_that_is_a_shell_script(deploy):
    function = deploy(files={"bootstrap": "#!/bin/sh\nexit 9\n"}, Runtime="provided.al2023", Handler="any")
    invocation = function.invoke()
    message = f"RequestId: {invocation.request_id} Error: Runtime exited with error: exit status 9"
    assert invocation.json == {"errorType": "Runtime.ExitError", "errorMessage": message}


def test_a_package_without_a_bootstrap(deploy):
    function = deploy(files={"readme": "nothing to run"}, Runtime="provided.al2023", Handler="any")
    invocation = function.invoke()
    assert invocation.error == "Unhandled"
    assert invocation.json["errorType"] == "Runtime.InvalidEntrypoint"


@pytest.mark.parametrize(
    ("path", "handler"),
    [
        ("handler.py", "handler.handler"),
        ("package/module.py", "package.module.handler"),
        ("package/module.py", "package/module.handler"),
        ("a/b/c.py", "a.b.c.handler"),
    ],
)
def test_handlers_of_python_in_folders(deploy, path, handler):
    function = deploy(files={path: "def handler(event, context):\n    return __name__\n"}, Handler=handler)
    assert function.invoke().json == handler.removesuffix(".handler").replace("/", ".")


def test_a_python_handler_sees_all_of_its_context(deploy):
    source = """
def handler(event, context):
    return {
        "remaining": context.get_remaining_time_in_millis(),
        "name": context.function_name,
        "version": context.function_version,
        "arn": context.invoked_function_arn,
        "identity": [context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id],
    }
"""
    function = deploy(source, Timeout=5)
    found = function.invoke().json
    assert 4000 < found.pop("remaining") <= 5000
    assert found == {"name": function.name, "version": "$LATEST", "arn": function.arn, "identity": [None, None]}


def test_what_a_package_brings_can_be_imported(deploy):
    files = {
        "handler.py": "import lib.part\n\ndef handler(event, context):\n    return lib.part.VALUE\n",
        "lib/__init__.py": "",
        "lib/part.py": "VALUE = 'from the package'\n",
    }
    assert deploy(files=files).invoke().json == "from the package"


@needs_node
@pytest.mark.parametrize(
    ("path", "handler", "source"),
    [
        ("index.js", "index.handler", "exports.handler = async (event) => event;"),
        ("index.mjs", "index.handler", "export const handler = async (event) => event;"),
        ("index.js", "index.handler", "exports.handler = (event, context, done) => done(null, event);"),
        ("src/app.js", "src/app.main", "exports.main = async (event) => event;"),
        ("index.js", "index.api.handler", "exports.api = { handler: async (event) => event };"),
        ("index.mjs", "index.handler", "const v = await Promise.resolve(1); export const handler = async (e) => e;"),
    ],
    ids=["commonjs", "esm", "callback", "folder", "nested", "top-level await"],
)
def test_handlers_of_node_in_all_forms(deploy, path, handler, source):
    function = deploy(files={path: source}, Runtime=NODE, Handler=handler)
    assert function.invoke({"a": [1]}).json == {"a": [1]}


@needs_node
def test_node_says_what_is_wrong(deploy):
    missing = deploy(files={"index.js": ""}, Runtime=NODE, Handler="index.handler").invoke()
    assert missing.json["errorType"] == "Runtime.HandlerNotFound"
    assert missing.json["errorMessage"] == "index.handler is undefined or not exported"
    absent = deploy(files={"index.js": ""}, Runtime=NODE, Handler="other.handler").invoke()
    assert absent.json["errorType"] == "Runtime.ImportModuleError"
    assert absent.json["errorMessage"].startswith("Error: Cannot find module 'other'")
    raised = deploy(files={"index.js": "throw new TypeError('no');"}, Runtime=NODE, Handler="index.handler").invoke()
    assert (raised.json["errorType"], raised.json["errorMessage"]) == ("TypeError", "no")
    rejected = deploy.node("exports.handler = (event, context, done) => done(new RangeError('told'));\n").invoke()
    assert (rejected.json["errorType"], rejected.json["errorMessage"]) == ("RangeError", "told")
    assert [it.error for it in (missing, absent, raised, rejected)] == ["Unhandled"] * 4


@needs_node
def test_node_without_an_answer(deploy):
    assert deploy.node("exports.handler = async () => {};\n").invoke().payload == b"null"


def test_layers_are_merged_in_order_and_found(deploy):
    client = deploy.client
    first = {"python/shared.py": "VALUE = 'first'\n", "python/only_first.py": "VALUE = 1\n"}
    first |= {"bin/tool": "#!/bin/sh\necho first\n"}
    second = {"python/shared.py": "VALUE = 'second'\n"}
    arns = []
    for number, files in enumerate([first, second]):
        published = client.publish_layer_version(LayerName=f"layer-{number}", Content={"ZipFile": zip_of(files)})
        arns.append(published["LayerVersionArn"])
    source = """
import subprocess
import only_first, shared

def handler(event, context):
    tool = subprocess.run(["tool"], capture_output=True, text=True, check=True)
    return [only_first.VALUE, shared.VALUE, tool.stdout]
"""
    assert deploy(source, Layers=arns).invoke().json == [1, "second", "first\n"]


def test_a_wrapper_script_starts_the_runtime(deploy):
    files = {
        "handler.py": "import os\n\ndef handler(event, context):\n    return os.environ['WRAPPED']\n",
        "wrapper": '#!/bin/sh\nexport WRAPPED=yes\nexec "$@"\n',
    }
    function = deploy(files=files)
    wrapped = deploy(files=files, Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "./wrapper"}})
    assert wrapped.invoke().json == "yes"
    assert function.invoke().json["errorType"] == "KeyError"
