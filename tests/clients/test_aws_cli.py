"""The real aws CLI, as people type it."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from fixtures import PYTHON
from hearth import REGION, ROLE, zip_of

AWS = pathlib.Path(sys.executable).parent / "aws"


@pytest.fixture
def aws(host, tmp_path):
    """Runs `aws lambda …` in a folder of its own; answers what it printed, as JSON where it is JSON."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL_LAMBDA": host.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_PAGER": "",
        "NO_PROXY": "127.0.0.1",
    }

    def run(*arguments, fails_with=None):
        done = subprocess.run(
            [AWS, "lambda", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )
        if fails_with is not None:
            assert (done.returncode, done.stderr.strip()) == (255, fails_with)
            return None
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    return run


def test_a_function_from_its_creation_to_its_end(aws, tmp_path):
    source = "def handler(event, context):\n    print('called')\n    return {'hello': event['name']}\n"
    (tmp_path / "hello.zip").write_bytes(zip_of({"handler.py": source}))
    name = ("--function-name", "cli-hello")

    created = aws(
        "create-function",
        *name,
        "--runtime",
        PYTHON,
        "--handler",
        "handler.handler",
        "--role",
        ROLE,
        "--zip-file",
        "fileb://hello.zip",
    )
    assert created["State"] == "Pending"
    aws("wait", "function-active-v2", *name)

    told = aws("invoke", *name, "--payload", '{"name": "you"}', "--log-type", "Tail", "answer.json")
    assert (told["StatusCode"], told["ExecutedVersion"]) == (200, "$LATEST")
    assert json.loads((tmp_path / "answer.json").read_text()) == {"hello": "you"}

    told = aws("invoke", *name, "--payload", "{}", "answer.json")
    assert (told["StatusCode"], told["FunctionError"]) == (200, "Unhandled")
    assert json.loads((tmp_path / "answer.json").read_text())["errorType"] == "KeyError"

    aws("update-function-configuration", *name, "--timeout", "9", "--environment", "Variables={KEY=value}")
    aws("wait", "function-updated-v2", *name)
    configuration = aws("get-function-configuration", *name)
    assert (configuration["Timeout"], configuration["Environment"]) == (9, {"Variables": {"KEY": "value"}})
    assert "cli-hello" in [function["FunctionName"] for function in aws("list-functions")["Functions"]]

    assert aws("delete-function", *name) == {"StatusCode": 204}
    aws(
        "get-function",
        *name,
        fails_with="An error occurred (ResourceNotFoundException) when calling the GetFunction "
        f"operation: Function not found: arn:aws:lambda:{REGION}:000000000000:function:cli-hello",
    )
