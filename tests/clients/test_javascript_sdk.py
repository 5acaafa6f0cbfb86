"""The AWS SDK for JavaScript, unmodified: each test of `javascript/sdk.test.mjs` is one here."""

import base64
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from fixtures import PYTHON
from hearth import zip_of

SDK = os.environ.get("HEARTH_TEST_JAVASCRIPT_SDK", "")
TESTS = pathlib.Path(__file__).parent / "javascript" / "sdk.test.mjs"
HANDLER = """
def handler(event, context):
    if isinstance(event, str):
        raise Exception(event)
    return event
"""


@pytest.mark.skipif(not SDK, reason="the AWS SDK for JavaScript is not installed: there is no node or no npm")
@pytest.mark.parametrize("name", re.findall(r"^test\('([^']+)'", TESTS.read_text(), re.MULTILINE))
def test_the_sdk_for_javascript(host, name):
    environment = os.environ | {
        "HEARTH_TEST_URL": host.url,
        "HEARTH_TEST_RUNTIME": PYTHON,
        "HEARTH_TEST_ZIP": base64.b64encode(zip_of({"handler.py": HANDLER})).decode(),
        "NO_PROXY": "127.0.0.1",
    }
    command = [shutil.which("node"), "--test", "--test-reporter=tap", "--test-name-pattern", f"^{name}$", str(TESTS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, "\n# pass 1\n" in done.stdout) == (0, True), done.stdout
