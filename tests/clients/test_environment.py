"""Recorded facts 91 to 95: what a function finds around itself."""

import os
import platform
import re
import resource

import pytest

from fixtures import NODE, PYTHON, needs_node
from hearth import REGION

# What every runtime has. Places are the machine's own instead of /var/task, /var/runtime, /opt.
COMMON = {
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_XRAY_CONTEXT_MISSING",
    "AWS_XRAY_DAEMON_ADDRESS",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "LANG",
    "LD_LIBRARY_PATH",
    "PATH",
    "TEST_KEY",
    "TZ",
    "_AWS_XRAY_DAEMON_ADDRESS",
    "_AWS_XRAY_DAEMON_PORT",
    "_HANDLER",
}
MANAGED = {"AWS_EXECUTION_ENV", "PWD", "SHLVL"}
# A function in a process of this machine is told where its own temporary folder is.
HERE = {"TMPDIR"}
SETTINGS = {"Environment": {"Variables": {"TEST_KEY": "TEST_VAL"}}, "MemorySize": 1024}

PROVIDED_ENVIRONMENT = """
import http.client
import json
import os

runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    runtime.request("GET", "/2018-06-01/runtime/invocation/next")
    event = runtime.getresponse()
    event.read()
    request_id = event.headers["Lambda-Runtime-Aws-Request-Id"]
    body = json.dumps(dict(os.environ))
    runtime.request("POST", f"/2018-06-01/runtime/invocation/{request_id}/response", body)
    runtime.getresponse().read()
"""


def check_values(environment, function, handler):
    """What AWS has the same value for wherever the function runs."""
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", environment["AWS_LAMBDA_LOG_STREAM_NAME"])
    fixed = {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_REGION": REGION,
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "LANG": "en_US.UTF-8",
        "TEST_KEY": "TEST_VAL",
        "TZ": ":UTC",
        "_AWS_XRAY_DAEMON_PORT": "2000",
        "_HANDLER": handler,
    }
    assert {name: environment.get(name) for name in fixed} == fixed


def test_fact_091_the_environment_of_python(deploy):
    function = deploy("import os\n\ndef handler(event, context):\n    return dict(os.environ)\n", **SETTINGS)
    environment = function.invoke().json
    expected = COMMON | MANAGED | {"LC_CTYPE", "PYTHONPATH", "_X_AMZN_TRACE_ID"}
    assert set(environment) - HERE == expected
    check_values(environment, function, "handler.handler")
    assert environment["AWS_EXECUTION_ENV"] == f"AWS_Lambda_{PYTHON}"
    assert environment["LC_CTYPE"] == "C.UTF-8"
    assert environment["SHLVL"] == "0"
    assert environment["PWD"] == environment["LAMBDA_TASK_ROOT"]


@needs_node
def test_fact_092_the_environment_of_node(deploy):
    function = deploy.node("exports.handler = async () => process.env;\n", **SETTINGS)
    environment = function.invoke().json
    assert set(environment) - HERE == COMMON | MANAGED | {"NODE_PATH", "_X_AMZN_TRACE_ID"}
    check_values(environment, function, "handler.handler")
    assert environment["AWS_EXECUTION_ENV"] == f"AWS_Lambda_{NODE}"
    assert environment["SHLVL"] == "0"
    assert environment["PWD"] == environment["LAMBDA_TASK_ROOT"]


def test_fact_093_the_environment_of_a_runtime_of_ones_own(deploy):
    function = deploy.provided(PROVIDED_ENVIRONMENT, **SETTINGS)
    environment = function.invoke().json
    # Python sets LC_CTYPE for itself when the locale is not there.
    assert set(environment) - HERE - {"LC_CTYPE"} == COMMON
    check_values(environment, function, "function.handler")


def test_nothing_of_the_hosts_own_environment_reaches_a_function(deploy):
    function = deploy("import os\n\ndef handler(event, context):\n    return dict(os.environ)\n")
    environment = function.invoke().json
    for name in ["HOME", "HOSTNAME", "USER", "HEARTH_PLUGIN_PATH", "VIRTUAL_ENV", "PYTEST_CURRENT_TEST"]:
        assert name not in environment


def test_fact_094_the_place(deploy):
    source = """
import os, platform, stat, tempfile

def handler(event, context):
    return {
        "event": event,
        "machine": [platform.system(), platform.machine()],
        "pwd": os.getcwd(),
        "task_root": os.environ["LAMBDA_TASK_ROOT"],
        "task_mode": stat.filemode(os.stat(os.getcwd()).st_mode),
        "files": os.listdir(),
        "tmp": tempfile.gettempdir(),
        "tmp_files": os.listdir(tempfile.gettempdir()),
        "tmp_is_writable": os.access(tempfile.gettempdir(), os.W_OK),
    }
"""
    found = deploy(source).invoke().json
    assert found["event"] == {}
    assert found["machine"] == [platform.system(), platform.machine()]
    assert os.path.realpath(found["pwd"]) == os.path.realpath(found["task_root"])
    assert found["task_mode"] == "drwxr-xr-x"
    assert found["files"] == ["handler.py"]
    assert found["tmp_is_writable"]
    assert found["tmp_files"] == []


def test_fact_095_the_limits(deploy):
    source = """
import resource

def handler(event, context):
    return {name: resource.getrlimit(getattr(resource, name)) for name in event}
"""
    found = deploy(source).invoke(["RLIMIT_NOFILE", "RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE"])
    unlimited = [resource.RLIM_INFINITY] * 2
    assert found.json == {
        "RLIMIT_NOFILE": [1024, 1024],
        "RLIMIT_AS": unlimited,
        "RLIMIT_CPU": unlimited,
        "RLIMIT_FSIZE": unlimited,
    }


def test_instances_have_temporary_folders_of_their_own(deploy):
    source = "import tempfile\n\ndef handler(event, context):\n    return tempfile.gettempdir()\n"
    one, other = deploy(source), deploy(source)
    first = one.invoke().json
    assert one.invoke().json == first
    assert other.invoke().json != first


@pytest.mark.parametrize("memory", [128, 3008])
def test_the_memory_size_reaches_function_and_log(deploy, memory):
    function = deploy("def handler(event, context):\n    return context.memory_limit_in_mb\n", MemorySize=memory)
    invocation = function.invoke({}, LogType="Tail")
    assert invocation.json == str(memory)
    assert f"\tMemory Size: {memory} MB\t" in invocation.log
