"""Every operation of AWS's service model, request and answer: by the model that AWS's own SDKs are made of."""

import collections
import pathlib
import re

import pytest

from always_sent import ALWAYS_IN_HEADERS, ALWAYS_SENT, missing
from fixtures import started
from hearth import ACCOUNT, REGION, wait_until
from service_model import OPERATIONS, Wire, answer_problems, place, problems, refusal_problems, request
from tour import tour
from violations import violations

PAGE = (pathlib.Path(__file__).parents[2] / "docs/api.md").read_text()
# Operations that the page tells of, each with the rest of its row.
ROWS = dict(re.findall(r"^\| `(\w+)` \|(.*)$", PAGE, re.MULTILINE))
NOT_SUPPORTED = re.findall(r"^- `(\w+)`$", PAGE, re.MULTILINE)
SUPPORTED = sorted(ALWAYS_SENT)

# Well-formed values of members that are refused.
REFUSED = {
    "AcceleratorConfig": {"AcceleratorMemorySize": 1},
    "CapacityProviderConfig": {
        "LambdaManagedInstancesCapacityProviderConfig": {
            "CapacityProviderArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:capacity-provider:c"
        }
    },
    "DurableConfig": {"ExecutionTimeout": 60},
    "PublishTo": "LATEST_PUBLISHED",
    "RuntimeConfig": {"RuntimeArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:runtime/custom", "RuntimeAlias": "a"},
    "TenancyConfig": {"TenantIsolationMode": "PER_TENANT"},
}

# Values of other types than are due, and what is said of them.
OBJECT = ({}, "Start of structure or map found where not expected.")
LIST = ([], "Start of list found where not expected")
OTHER_TYPES = {
    "string": [(1, "NUMBER_VALUE can not be converted to a String"), OBJECT, LIST],
    "blob": [(True, "TRUE_VALUE can not be converted to a String"), OBJECT, LIST],
    "boolean": [("true", "STRING_VALUE can not be converted to a Boolean"), OBJECT, LIST],
    "integer": [("1", "STRING_VALUE can not be converted to an Integer"), OBJECT, LIST],
    "timestamp": [("now", "STRING_VALUE can not be converted to milliseconds since epoch"), OBJECT, LIST],
    "list": [("a", "Expected list or null"), OBJECT],
    "map": [("a", "Expected map or null"), LIST],
    "structure": [("a", "Expected map or null"), LIST],
}

# Where AWS was recorded to answer with another status than its model has.
STATUSES = {"DeleteFunction": {204}, "Invoke": {200, 202, 204}}

# Words that AWS was recorded to say although its model does not have them.
RECORDED_WORDS = {"LastUpdateStatusReasonCode is none of the model's words: 'Creating'"}
# Where AWS was recorded to hold to another constraint than its model has.
RECORDED_CONSTRAINTS = {
    "CreateFunction FunctionName: too long": "Member must have length less than or equal to 64",
    "EphemeralStorage.Size: too large": "Member must have value less than or equal to 10240",
    "LayerName: too long": "Member must have length less than or equal to 140",
    "Layers.element: too long": "Member must have length less than or equal to 140",
    "Timeout: too large": "Member must have value less than or equal to 900",
}
# What is no ValidationException.
NOT_TOLD = {
    "InvokeArgs: missing": "a request without a body has an empty event",
    "Runtime: no such word": "recorded fact 54 is about it",
}

CONSTRAINT = r"Value (null|'.*?') at '[\w.]+' failed to satisfy constraint: \S.*?"
VALIDATION = re.compile(rf"(\d+) validation errors? detected: {CONSTRAINT}(; {CONSTRAINT})*", re.DOTALL)


class Taken:
    """The tour, as it went: what was asked and what was answered, by operation."""

    def __init__(self, host):
        self.asked = collections.defaultdict(list)
        self.answers = collections.defaultdict(list)
        wire = Wire(host.url)

        def call(operation, **parameters):
            answer = wire(*request(OPERATIONS[operation], parameters))
            self.asked[operation].append(parameters)
            self.answers[operation].append(answer)
            assert answer.status < 300, f"{operation}: {answer}"
            return answer.json if answer.headers.get("content-type") == "application/json" else {}

        def is_settled(name):
            found = host.client().get_function_configuration(FunctionName=name)
            return found["State"] != "Pending" and found["LastUpdateStatus"] != "InProgress"

        tour(call, lambda name: wait_until(lambda: is_settled(name), lambda: f"{name} was not settled"))


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """One that has nothing but what the tour makes."""
    yield from started(tmp_path_factory, "model")


@pytest.fixture(scope="module")
def taken(host):
    return Taken(host)


@pytest.fixture(scope="module")
def wire(host):
    return Wire(host.url)


def test_the_page_tells_of_every_operation_of_the_model():
    assert sorted([*ROWS, *NOT_SUPPORTED]) == sorted(OPERATIONS)
    assert sorted(ROWS) == SUPPORTED


@pytest.mark.parametrize("name", SUPPORTED)
def test_the_page_tells_of_every_member_of_a_request(name):
    shape = OPERATIONS[name].input_shape
    members = shape.members.items() if shape else []
    told = re.findall(r"`(\w+)`", ROWS[name])
    assert sorted(told) == sorted(member for member, inner in members if place(member, inner)[0] != "uri")


def test_every_operation_is_on_the_tour(taken):
    assert sorted(taken.answers) == SUPPORTED


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"Colour": "blue"}, ".Colour is not in the model"),
        ({"Timeout": "3"}, ".Timeout is no integer: '3'"),
        ({"Timeout": True}, ".Timeout is no integer: True"),
        ({"State": "Asleep"}, ".State is none of the model's words: 'Asleep'"),
        ({"LastModified": "yesterday"}, ".LastModified is no date: 'yesterday'"),
        ({"MemorySize": 1}, ".MemorySize is out of bounds: 1"),
        ({"Architectures": [None]}, ".Architectures[0] is no string: None"),
        ({"TracingConfig": {"Mode": 1}}, ".TracingConfig.Mode is no string: 1"),
    ],
)
def test_what_is_wrong_with_an_answer_would_be_found(taken, changed, problem):
    right = taken.answers["GetFunctionConfiguration"][0].json
    shape = OPERATIONS["GetFunctionConfiguration"].output_shape
    assert (list(problems(shape, right)), list(problems(shape, right | changed))) == ([], [problem])


@pytest.mark.parametrize("name", SUPPORTED)
def test_an_answer_has_the_shape_of_the_model(taken, name):
    operation = OPERATIONS[name]
    statuses = STATUSES.get(name, {operation.http.get("responseCode", 200)})
    for answer in taken.answers[name]:
        assert answer.status in statuses
        assert [problem for problem in answer_problems(operation, answer) if not has_recorded_words(problem)] == []


@pytest.mark.parametrize("name", SUPPORTED)
def test_an_answer_has_what_aws_always_sends(taken, name):
    for answer in taken.answers[name]:
        assert [at for path in ALWAYS_SENT[name] for at in missing(answer.json, path)] == []
    wanted = set(ALWAYS_IN_HEADERS.get(name, ()))
    assert wanted <= taken.answers[name][0].headers.keys()


def refused_members():
    """Operations and members that the page says are refused."""
    for name, row in ROWS.items():
        yield from ((name, member) for member in re.findall(r"`(\w+)`", row.split("|")[2]))


@pytest.mark.parametrize(("name", "member"), list(refused_members()))
def test_what_a_function_would_rely_on_in_vain_is_refused(taken, wire, name, member):
    parameters = taken.asked[name][0] | {member: REFUSED[member]}
    answer = wire(*request(OPERATIONS[name], parameters))
    assert (answer.status, answer.kind) == (400, "InvalidParameterValueException")
    assert answer.message == f"{member} is not supported by this host."


def body_members(name):
    """Members of a request that are in its JSON."""
    shape = OPERATIONS[name].input_shape
    members = shape.members.items() if shape and not shape.serialization.get("payload") else []
    return [(member, inner) for member, inner in members if place(member, inner)[0] == "body"]


@pytest.mark.parametrize("name", [name for name in SUPPORTED if body_members(name)])
def test_a_member_of_another_type_is_told_in_awss_words(taken, wire, name):
    found = []
    for member, shape in body_members(name):
        for value, told in OTHER_TYPES[shape.type_name]:
            answer = wire(*request(OPERATIONS[name], taken.asked[name][0] | {member: value}))
            if (answer.status, answer.kind, answer.message) != (400, "SerializationException", told):
                found.append(f"{member} as {value!r}: {answer!r}")
    assert found == []


@pytest.mark.parametrize("name", NOT_SUPPORTED)
def test_what_is_not_supported_is_refused_by_its_name(wire, name):
    operation = OPERATIONS[name]
    uri = {
        member: "a"
        for member, shape in operation.input_shape.members.items()
        if shape.serialization.get("location") == "uri"
    }
    answer = wire(*request(operation, uri))
    assert (answer.status, answer.kind) == (501, "NotSupportedByHostException")
    assert answer.message == f"{name} is not supported by this host."


@pytest.mark.parametrize("name", SUPPORTED)
def test_each_constraint_of_the_model_is_kept(taken, wire, name):
    operation = OPERATIONS[name]
    if operation.input_shape is None:
        return
    found = []
    told = (it for it in violations(operation, taken.asked[name][0]) if it.name not in NOT_TOLD)
    for violation in told:
        answer = wire(*request(operation, violation.parameters))
        constraint = recorded(name, violation) or violation.constraint
        wrong = [*refusal_problems(operation, answer)] or [*told_wrongly(violation.member, constraint, answer)]
        found += [f"{violation.name}: {problem}" for problem in wrong]
    assert found == []


def has_recorded_words(problem):
    return any(problem.endswith(words) for words in RECORDED_WORDS)


def recorded(name, violation):
    return RECORDED_CONSTRAINTS.get(violation.name) or RECORDED_CONSTRAINTS.get(f"{name} {violation.name}")


def told_wrongly(member, constraint, answer):
    """What is wrong with what is said of a broken constraint."""
    if answer.kind != "ValidationException" or not VALIDATION.fullmatch(answer.message):
        yield f"it was answered {answer!r}"
    elif f"at '{member}' failed" not in answer.message or constraint not in answer.message:
        yield f"nothing is said of {member} and {constraint!r}: {answer.message}"
