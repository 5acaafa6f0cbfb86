"""Requests made from the service model and chance: right ones, odd ones, and some that no client would send."""

import copy
import http.client
import json
import socket
import urllib.parse

from service_model import Answer, request
from violations import changed_at, rules, sample

HUGE = 200_000
ODD_TEXTS = [
    "",
    " ",
    "a" * 65,
    "a" * 300,
    "0",
    "-1",
    "$LATEST",
    "null",
    "☃ ünïcödé \U0001f980",
    "\u202eright to left",
    "tab\tnewline\n\x00\x1f\x7f",
    "../../etc/passwd",
    "%00%2f%25",
    "';--",
    "{}[]\"'\\",
    "\ud800",
    "arn:aws:lambda:us-east-1:000000000000:function:generated",
    "arn:aws:lambda:eu-west-1:123456789012:function:other:1",
    "arn:aws:lambda:us-east-1:000000000000:layer:generated:1",
    "arn:" + ":" * 50,
    "generated:live",
    "000000000000:function:generated:$LATEST",
    "2026-01-01T00:00:00Z",
    "9" * 400,
]
ODD_NUMBERS = [0, -1, 1, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308]
ODD_VALUES = [None, True, False, [], {}, [[]], [None], {"": None}, {"a": {"b": [1, {"c": "d"}]}}, *ODD_NUMBERS]
ODD_BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"0",
    b'"text"',
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf{}",
    b'{"a": NaN}',
    b'{"a": 1e999}',
    b'{"a": 1, "a": 2}',
    b'{"\\ud800": "\\udc00"}',
    b"{}" * 2,
    b"{'a': 1}",
    b'{"a": "\x01"}',
    b"[" * HUGE,
    b'{"a":' * HUGE,
    b"[" * HUGE + b"]" * HUGE,
    b'{"Environment":' + b"[" * 500 + b"]" * 500 + b"}",
    b'{"FunctionName": "' + b"a" * HUGE + b'"}',
    b" " * HUGE,
]
ODD_QUERIES = [
    "?",
    "?&&&",
    "?=",
    "?Qualifier",
    "?Qualifier=",
    "?Qualifier=a&Qualifier=b",
    "?Qualifier=%zz%",
    "?Qualifier=%ff%fe",
    "?Marker=%00",
    "?Marker=YQ",
    "?MaxItems=99999999999999999999",
    "?MaxItems=1.5&Marker=" + "A" * 2000,
    "?find=LayerVersion",
    "?List=ALL",
    "?a[]=1;b=2#c",
    "?" + "&".join(f"a{number}=b" for number in range(2000)),
]
ODD_PATHS = ["/", "//", "/..", "/%2e%2e/", "/%00", "/%ff", "/a/b/c", "/" + "a" * 8000, "/:", "/%", "/?"]
ODD_HEADERS = [
    ("content-type", "text/plain; charset=utf-16"),
    ("content-type", "\xff"),
    ("content-encoding", "gzip"),
    ("accept", "x" * 5000),
    ("authorization", "AWS4-HMAC-SHA256 Credential=/////, SignedHeaders=, Signature="),
    ("authorization", "Bearer \xe9"),
    ("x-amz-invocation-type", "\xe9vent"),
    ("x-amz-invocation-type", "Event"),
    ("x-amz-log-type", "Tail"),
    ("x-amz-client-context", "e30="),
    ("x-amz-client-context", "bnVsbA=="),
    ("x-amz-client-context", "\xe9" * 100),
    ("x-amz-tenant-id", "tenant one"),
    ("x-amz-date", "yesterday"),
    ("x-amzn-trace-id", "Root=1-00000000-000000000000000000000000;Parent=0;Sampled=1"),
    ("x-amzn-trace-id", "\xe9" + "x" * 3000),
    ("x-forwarded-for", "::1, 1.2.3.4"),
    ("range", "bytes=0-"),
    ("if-none-match", "*"),
    ("cookie", "a=b; " * 500),
]
ODD_METHODS = ["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "BREW"]


class Request:
    """A request as it goes over the wire."""

    def __init__(self, method, path, headers, body):
        self.method = method
        self.path = path
        self.headers = list(headers.items())
        self.body = body
        # It is no request of its operation any more.
        self.is_distorted = False

    @property
    def head(self):
        headers = [("host", "localhost"), ("content-length", str(len(self.body))), *self.headers]
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {in_one_line(text)}" for name, text in headers)]
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogatepass")

    def __repr__(self):
        return f"{self.head[:2000]!r} {self.body[:1000]!r}"


def in_one_line(text):
    return "".join(letter for letter in text if letter not in "\r\n\0")


class Generator:
    """Makes requests for one operation out of one that is right. The same `random` makes the same ones."""

    def __init__(self, operation, right, random):
        self.operation = operation
        self.right = right
        self.random = random
        self.paths = [path for path, _, _ in rules(operation.input_shape, ())] if operation.input_shape else []

    def __iter__(self):
        while True:
            yield self.request()

    def request(self):
        parameters = copy.deepcopy(self.right)
        for _ in range(self.random.choice([0, 1, 1, 1, 2, 3]) if self.paths else 0):
            parameters = self.changed(parameters)
        made = Request(*request(self.operation, parameters))
        # A path without a name in it is another operation's.
        made.is_distorted = "//" in f"{made.path.partition('?')[0]}/"
        if self.random.random() < 0.3:
            self.distort(made)
        return made

    def changed(self, parameters):
        """Another value somewhere, or none."""
        path = self.random.choice(self.paths)
        if len(path) == 1 and self.random.random() < 0.15:
            return {name: value for name, value in parameters.items() if name != path[0]}
        shape = self.operation.input_shape
        try:
            return changed_at(shape, parameters, path, self.value(shape_at(shape, path)))
        except (AttributeError, TypeError):
            # What was changed before has no such place any more.
            return parameters

    def value(self, shape):
        if self.random.random() < 0.3:
            return self.random.choice([*ODD_VALUES, self.random.choice(ODD_TEXTS)])
        kind = shape.type_name
        if kind == "string":
            words = shape.metadata.get("enum") or ODD_TEXTS
            return self.random.choice([self.random.choice(words), self.random.choice(ODD_TEXTS), sample(shape)])
        if kind in ("integer", "long", "double", "timestamp"):
            return self.random.choice([*ODD_NUMBERS, self.random.randint(0, 200)])
        if kind == "blob":
            return self.random.randbytes(self.random.choice([0, 1, 100, 5000]))
        if kind == "list":
            return [self.value(shape.member) for _ in range(self.random.choice([0, 1, 2, 30]))]
        return sample(shape)

    def distort(self, made):
        """What no model knows of."""
        made.is_distorted = True
        odd = self.random.choice(["body", "bytes", "unknown", "query", "path", "headers", "headers", "method"])
        if odd == "body":
            made.body = self.random.choice(ODD_BODIES)
        elif odd == "bytes":
            made.body = self.garbled(made.body)
        elif odd == "unknown" and made.body.startswith(b"{"):
            unknown = json.dumps(self.random.choice(ODD_TEXTS)) + ": " + json.dumps(self.random.choice(ODD_VALUES))
            made.body = b"{" + unknown.encode() + b", " + made.body[1:]
        elif odd == "query":
            made.path = made.path.partition("?")[0] + self.random.choice(ODD_QUERIES)
        elif odd == "path":
            made.path = self.odd_path(made.path)
        elif odd == "headers":
            made.headers += self.random.sample(ODD_HEADERS, self.random.randint(1, 3))
        elif odd == "method":
            made.method = self.random.choice(ODD_METHODS)

    def garbled(self, body):
        """Cut off, or with other bytes in it."""
        body = bytearray(body or b"{}")
        for _ in range(self.random.randint(1, 5)):
            body[self.random.randrange(len(body))] = self.random.randrange(256)
        return bytes(body[: self.random.randint(0, len(body))] if self.random.random() < 0.5 else body)

    def odd_path(self, path):
        steps = path.split("/")
        place = self.random.randrange(1, len(steps))
        if self.random.random() < 0.5:
            steps[place] = urllib.parse.quote(self.random.choice(ODD_TEXTS), safe="", errors="surrogatepass")
            return "/".join(steps)
        return path + self.random.choice(ODD_PATHS)


def shape_at(shape, path):
    for step in path:
        inner = {"element": "member", "key": "key", "value": "value"}.get(step)
        # A member may have one of these names.
        is_member = shape.type_name == "structure"
        shape = shape.members[step] if is_member else getattr(shape, inner)
    return shape


class Sender:
    """One connection that is kept as long as the host keeps it. A connection that ends without an answer is a fault."""

    def __init__(self, url, limit):
        self.address = url.removeprefix("http://").split(":")
        self.limit = limit
        self.socket = None

    def __call__(self, made):
        if self.socket is None:
            self.socket = socket.create_connection(self.address, self.limit)
        sending = self.socket
        try:
            sending.sendall(made.head + made.body)
        except ConnectionError:
            # It was answered before it was read to its end, and the answer says why.
            pass
        answer = http.client.HTTPResponse(sending, method=made.method)
        answer.begin()
        body = answer.read()
        if answer.will_close:
            self.close()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None
