"""Whatever is asked is answered: requests from the service model and chance, without a 5xx, a panic or a hang.

`HEARTH_GENERATED_REQUESTS` is how many each operation gets, `HEARTH_GENERATED_SEED` makes other ones.
"""

import os
import random

import pytest

from fixtures import started
from generated import Generator, Sender
from service_model import OPERATIONS, answer_problems, refusal_problems
from stage import Stage
from test_service_model import Taken, has_recorded_words
from violations import sample

COUNT = int(os.environ.get("HEARTH_GENERATED_REQUESTS", "200"))
SEED = os.environ.get("HEARTH_GENERATED_SEED", "hearth")
# The stage is set again after so many requests: some of them have torn it down.
ACT = 50
# A request that takes longer hangs, in seconds.
LIMIT = 20
# What an operation makes has a name that is new each time.
NEW = {
    "AddLayerVersionPermission": "StatementId",
    "AddPermission": "StatementId",
    "CreateAlias": "Name",
    "CreateFunction": "FunctionName",
}
# These come to functions, which are processes as they are by default.
RUN_FUNCTIONS = {"Invoke", "InvokeAsync", "InvokeWithResponseStream"}
# Of HTTP itself, with no text: what cannot be read is no request of the API.
UNREADABLE = {400, 414, 431}


@pytest.fixture(scope="module")
def process_host(tmp_path_factory):
    yield from started(tmp_path_factory, "generated-invocations")


@pytest.fixture(scope="module")
def mock_host(tmp_path_factory):
    yield from started(tmp_path_factory, "generated", "--backend", "mock")


@pytest.fixture(scope="module")
def taken(mock_host):
    return Taken(mock_host)


@pytest.mark.parametrize("name", OPERATIONS)
def test_generated_requests_are_answered(process_host, mock_host, taken, name):
    asked = process_host if name in RUN_FUNCTIONS else mock_host
    operation, sender = OPERATIONS[name], Sender(asked.url, LIMIT)
    chance = random.Random(f"{SEED} {name}")
    right = taken.asked[name][0] if name in taken.asked else sample(operation.input_shape)
    for number in range(COUNT):
        if number % ACT == 0:
            generator = Generator(operation, Stage(asked).in_place(right), chance)
        if name in NEW:
            generator.right[NEW[name]] = f"new-{number}"
        one = generator.request()
        answer = sender(one)
        assert list(faults(operation, one, answer)) == [], f"request {number} of {SEED!r}: {one!r}"
    assert asked.admin("health")
    assert "panicked" not in asked.log_path.read_text()


def faults(operation, made, answer):
    """What is wrong with an answer to a request that may be anything."""
    if answer.status == 501:
        assert answer.kind == "NotSupportedByHostException"
    elif answer.status >= 500:
        yield f"it was answered {answer!r}"
    elif answer.status >= 400 and (answer.body or answer.status not in UNREADABLE) and made.method != "HEAD":
        if answer.headers.get("content-type") != "application/json" or not answer.message:
            yield f"it says nothing: {answer!r}"
        else:
            yield from refusal_problems(operation, answer)
    # What is not set is answered with nothing, whatever the model says.
    elif answer.status < 400 and not made.is_distorted and answer.body != b"{}":
        yield from (problem for problem in answer_problems(operation, answer) if not has_recorded_words(problem))
