"""The model that AWS's SDKs are made of, as botocore carries it: requests and answers in its terms, on the wire."""

import base64
import http.client
import json
import re
import urllib.parse

import botocore.loaders
import botocore.model
from botocore.eventstream import EventStreamBuffer

from hearth import ANSWER_LIMIT

MODEL = botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model("lambda", "service-2"), "lambda")
OPERATIONS = {name: MODEL.operation_model(name) for name in MODEL.operation_names}

# What an answer may carry although no operation names it.
COMMON_HEADERS = {"x-amzn-requestid", "x-amzn-trace-id", "x-amzn-errortype"}
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d{4})")
JSON_TYPES = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "blob": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float),
}


class Answer:
    """An answer as it was on the wire."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def kind(self):
        return self.headers.get("x-amzn-errortype")

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def message(self):
        return self.json.get("message") or self.json.get("Message")

    def __repr__(self):
        return f"{self.status} {self.kind} {self.body[:500]!r}"


class Wire:
    """A connection that stays open, for requests that no SDK would make."""

    def __init__(self, url, limit=ANSWER_LIMIT):
        self.connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=limit)

    def __call__(self, method, path, headers, body):
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        except (http.client.HTTPException, OSError):
            # The next request gets a connection of its own.
            self.connection.close()
            raise


def request(operation, parameters):
    """A request for an operation: method, path with query, headers and body."""
    path, _, query = operation.http["requestUri"].partition("?")
    query, headers, body = urllib.parse.parse_qsl(query), {}, {}
    members = operation.input_shape.members if operation.input_shape else {}
    payload = operation.input_shape.serialization.get("payload") if operation.input_shape else None
    for name, value in parameters.items():
        shape = members[name]
        location, key = place(name, shape)
        if location == "uri":
            path = path.replace(f"{{{key}}}", urllib.parse.quote(text(value), safe="", errors="surrogatepass"))
        elif location == "querystring":
            values = value if isinstance(value, list) else [value]
            query.extend((key, text(one)) for one in values)
        elif location == "header":
            headers[key] = text(value)
        elif name == payload:
            body = value
        else:
            body[key] = encoded(shape, value)
    path = re.sub(r"\{\w+\}", "", path) + (f"?{urllib.parse.urlencode(query, errors='surrogatepass')}" if query else "")
    return operation.http["method"], path, headers, content(body)


def place(name, shape):
    """Where a member is in a request or an answer, and what it is called there."""
    return shape.serialization.get("location", "body"), shape.serialization.get("name", name)


def text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def content(body):
    if isinstance(body, bytes):
        return body
    return json.dumps(body).encode() if body else b""


def encoded(shape, value):
    """A value as it is in JSON: bytes are in base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if shape.type_name == "structure" and isinstance(value, dict):
        return {name: encoded(shape.members.get(name, shape), value) for name, value in value.items()}
    return value


def problems(shape, value, at=""):
    """What is wrong with a value that claims to have this shape."""
    kind = shape.type_name
    if not isinstance(value, JSON_TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{at} is no {kind}: {value!r}"
    elif kind == "structure":
        members = {shape.serialization.get("name", name): shape for name, shape in shape.members.items()}
        yield from (f"{at}.{name} is not in the model" for name in value.keys() - members.keys())
        yield from (f"{at}.{name} is missing" for name in shape.required_members if name not in value)
        for name in value.keys() & members.keys():
            # AWS writes some members as null that it might leave out.
            if value[name] is not None:
                yield from problems(members[name], value[name], f"{at}.{name}")
    elif kind == "list":
        for number, one in enumerate(value):
            yield from problems(shape.member, one, f"{at}[{number}]")
    elif kind == "map":
        for key, one in value.items():
            yield from problems(shape.key, key, f"{at} key")
            yield from problems(shape.value, one, f"{at}[{key}]")
    else:
        yield from scalar_problems(shape, value, at)


def scalar_problems(shape, value, at):
    limits = shape.metadata
    # The model calls these dates texts; its documentation has their form.
    if shape.name == "Timestamp" and not DATE.fullmatch(value):
        yield f"{at} is no date: {value!r}"
    if limits.get("enum") and value not in limits["enum"]:
        yield f"{at} is none of the model's words: {value!r}"
    measured = len(value) if isinstance(value, str) else value
    if "min" in limits and measured < limits["min"] or "max" in limits and measured > limits["max"]:
        yield f"{at} is out of bounds: {value!r}"
    if "pattern" in limits and not matches(limits["pattern"], value):
        yield f"{at} does not match {limits['pattern']}: {value!r}"


def matches(pattern, value):
    """Java's classes for letters, separators and digits have no short names in Python."""
    pattern = pattern.replace(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]", r"[\w\s.:/=+\-@]")
    return re.fullmatch(pattern, value) is not None


def answer_problems(operation, answer):
    """What is wrong with a successful answer: its body, and what it says in headers."""
    shape = operation.output_shape
    members = dict(shape.members) if shape else {}
    placed = {name: place(name, member) for name, member in members.items()}
    in_headers = {key.lower(): members[name] for name, (location, key) in placed.items() if location == "header"}
    unknown = {name for name in answer.headers if name.startswith("x-amz")} - in_headers.keys() - COMMON_HEADERS
    yield from (f"header {name} is not in the model" for name in unknown)
    for name in in_headers.keys() & answer.headers.keys():
        yield from scalar_problems(in_headers[name], answer.headers[name], f"header {name}")
    if "x-amzn-requestid" not in answer.headers:
        yield "there is no request id"
    in_body = {name for name, (location, _) in placed.items() if location == "body"}
    payload = shape.serialization.get("payload") if shape else None
    if payload and members[payload].serialization.get("eventstream"):
        yield from stream_problems(members[payload], answer.body)
    elif not payload and in_body:
        yield from json_problems(shape, in_body, answer)
    elif not payload and answer.body:
        yield f"there is a body where none is due: {answer.body[:200]}"


def json_problems(shape, in_body, answer):
    if answer.headers.get("content-type") != "application/json":
        yield f"the content type is {answer.headers.get('content-type')}"
    document = answer.json
    elsewhere = shape.members.keys() - in_body
    yield from (problem for problem in problems(shape, document) if problem.split()[0][1:] not in elsewhere)


def stream_problems(shape, body):
    """What is wrong with events of a stream: each has one of the names of the model, and what the model has in it."""
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    for event in buffer:
        name = event.headers[":event-type"]
        if name not in shape.members:
            yield f"event {name} is not in the model"
        elif event.headers[":content-type"] == "application/json":
            yield from problems(shape.members[name], json.loads(event.payload), f"event {name}")


def refusal_problems(operation, answer):
    """What is wrong with a refusal: its name, status and members, as far as the model has the error."""
    if not 400 <= answer.status < 500:
        yield f"it was answered {answer!r}"
        return
    shape = next((shape for shape in operation.error_shapes if shape.name == answer.kind), None)
    if shape is None:
        return
    if shape.metadata["error"]["httpStatusCode"] != answer.status:
        yield f"{answer.kind} has status {answer.status}, not {shape.error['httpStatusCode']}"
    yield from problems(shape, answer.json, answer.kind)
