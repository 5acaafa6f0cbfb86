"""A host that is killed again and again, at any moment, while much is changed: what was acknowledged is there."""

import base64
import concurrent.futures
import hashlib
import http.client
import json
import os
import random
import time
import urllib.parse

from fixtures import PYTHON, Deployer
from hearth import ACCOUNT, REGION, ROLE, Host, wait_until, zip_of

# So many in each run; another seed kills at other moments.
KILLS = int(os.environ.get("HEARTH_TEST_KILLS", "200"))
SEED = int(os.environ.get("HEARTH_TEST_SEED", "1"))
# A kill comes up to so long after the load has begun, in seconds.
LONGEST = 0.2
FUNCTIONS = "/2015-03-31/functions"
RECORDS = """
import pathlib
seen = pathlib.Path({folder!r})

def handler(event, context):
    (seen / event).touch()
"""


class Killed(Exception):
    """The host has gone before it answered."""


class Caller:
    """One connection, over which a worker says one thing after another."""

    def __init__(self, url):
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=60)

    def __call__(self, method, path, document=None, headers=None):
        body = None if document is None else json.dumps(document)
        try:
            self.connection.request(method, path, body, headers or {})
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Killed from error
        document = json.loads(text) if answer.headers["content-type"] == "application/json" else text
        return answer.status, document or {}


class Function:
    """A function that is changed in every way. `possible` is what it may be like: one state, or, while a change is
    under way, that before and that after it. Nothing stands for a function that does not exist."""

    def __init__(self, name):
        self.name = name
        self.path = f"{FUNCTIONS}/{name}"
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
        self.tags_path = f"/2017-03-31/tags/{urllib.parse.quote(arn, safe='')}"
        self.events_path = f"/2019-09-25/functions/{name}/event-invoke-config"
        self.url_path = f"/2021-10-31/functions/{name}/url"
        self.possible = [None]

    @property
    def state(self):
        (state,) = self.possible
        return state

    def seen(self, call):
        """What it is like on this host."""
        status, found = call("GET", self.path)
        if status == 404:
            return None
        configuration = found["Configuration"]
        _, package = call("GET", urllib.parse.urlsplit(found["Code"]["Location"]).path)
        assert digest(package) == configuration["CodeSha256"], "the code is not what it is said to be"
        aliases = pages(call, f"{self.path}/aliases", "Aliases")
        return {
            "code": configuration["CodeSha256"],
            "description": configuration["Description"],
            "versions": len(pages(call, f"{self.path}/versions", "Versions")),
            "aliases": {alias["Name"]: alias["FunctionVersion"] for alias in aliases},
            "tags": call("GET", self.tags_path)[1]["Tags"],
            "reserved": found.get("Concurrency", {}).get("ReservedConcurrentExecutions"),
            "retries": call("GET", self.events_path)[1].get("MaximumRetryAttempts"),
            "url": call("GET", self.url_path)[0] == 200,
        }

    def check(self, call):
        """It is as it was acknowledged to be, or as it was about to be."""
        seen = self.seen(call)
        assert seen in self.possible, f"{self.name} is\n{seen}\nand can only be one of\n{self.possible}"
        self.possible = [seen]

    def change(self, call, draw):
        """Makes one change, whichever comes."""
        if self.state is None:
            return self.create(call, draw)
        ways = [self.update_code, self.describe, self.publish, self.alias, self.tag, self.reserve, self.retry, self.url]
        return draw.choice([*ways, *ways, self.delete])(call, draw)

    def make(self, call, after, method, path, document=None):
        """Asks for a change. An update that comes too soon after another is refused; nothing else may be."""
        before = self.state
        self.possible = [before, after]
        status, told = call(method, path, document)
        assert status < 300 or status == 409, (status, told)
        self.possible = [after if status < 300 else before]
        return told

    def create(self, call, draw):
        package = zip_of({"handler.py": f"# {draw.random()}"})
        after = {"code": digest(package), "description": "", "versions": 1, "aliases": {}, "tags": {}}
        after |= {"reserved": None, "retries": None, "url": False}
        document = {"FunctionName": self.name, "Runtime": PYTHON, "Handler": "handler.handler", "Role": ROLE}
        self.make(call, after, "POST", FUNCTIONS, document | {"Code": {"ZipFile": base64.b64encode(package).decode()}})

    def update_code(self, call, draw):
        package = zip_of({"handler.py": f"# {draw.random()}"})
        document = {"ZipFile": base64.b64encode(package).decode()}
        self.make(call, self.state | {"code": digest(package)}, "PUT", f"{self.path}/code", document)

    def describe(self, call, draw):
        text = str(draw.random())
        document = {"Description": text}
        self.make(call, self.state | {"description": text}, "PUT", f"{self.path}/configuration", document)

    def publish(self, call, draw):
        """If nothing has changed since the last version, that is the answer, and nothing is new."""
        state = self.state
        told = self.make(call, state | {"versions": state["versions"] + 1}, "POST", f"{self.path}/versions", {})
        if "Version" in told:
            self.possible = [state | {"versions": max(state["versions"], int(told["Version"]) + 1)}]

    def alias(self, call, draw):
        name, number = draw.choice("ab"), draw.randrange(self.state["versions"])
        version = str(number) if number else "$LATEST"
        after = self.state | {"aliases": self.state["aliases"] | {name: version}}
        if name in self.state["aliases"]:
            self.make(call, after, "PUT", f"{self.path}/aliases/{name}", {"FunctionVersion": version})
        else:
            self.make(call, after, "POST", f"{self.path}/aliases", {"Name": name, "FunctionVersion": version})

    def tag(self, call, draw):
        tags = {f"tag{draw.randrange(3)}": str(draw.random())}
        self.make(call, self.state | {"tags": self.state["tags"] | tags}, "POST", self.tags_path, {"Tags": tags})

    def reserve(self, call, draw):
        count = draw.randrange(9)
        path = f"/2017-10-31/functions/{self.name}/concurrency"
        self.make(call, self.state | {"reserved": count}, "PUT", path, {"ReservedConcurrentExecutions": count})

    def retry(self, call, draw):
        count = draw.randrange(3)
        self.make(call, self.state | {"retries": count}, "PUT", self.events_path, {"MaximumRetryAttempts": count})

    def url(self, call, draw):
        if self.state["url"]:
            self.make(call, self.state | {"url": False}, "DELETE", self.url_path)
        else:
            self.make(call, self.state | {"url": True}, "POST", self.url_path, {"AuthType": "NONE"})

    def delete(self, call, draw):
        self.make(call, None, "DELETE", self.path)


class Layer:
    """A layer that gets new versions."""

    def __init__(self, name):
        self.path = f"/2018-10-31/layers/{name}/versions"
        self.possible = [0]

    def check(self, call):
        seen = len(pages(call, self.path, "LayerVersions"))
        assert seen in self.possible, f"{seen} versions, and there can only be {self.possible}"
        self.possible = [seen]

    def change(self, call, draw):
        (count,) = self.possible
        self.possible = [count, count + 1]
        package = zip_of({"text": str(draw.random())})
        status, told = call("POST", self.path, {"Content": {"ZipFile": base64.b64encode(package).decode()}})
        assert (status, told.get("Version")) == (201, count + 1), told
        self.possible = [count + 1]


class Events:
    """Asynchronous invocations: each that was accepted is run, be it in another life of the host."""

    def __init__(self, function):
        self.path = f"{FUNCTIONS}/{function}/invocations"
        self.accepted = []

    def check(self, call):
        pass

    def change(self, call, draw):
        event = f"{draw.getrandbits(64):x}"
        status, told = call("POST", self.path, event, {"X-Amz-Invocation-Type": "Event"})
        assert status == 202, told
        self.accepted.append(event)


def pages(call, path, member):
    """Everything in a list."""
    _, page = call("GET", path)
    found = page[member]
    while page.get("NextMarker"):
        _, page = call("GET", f"{path}?Marker={urllib.parse.quote(page['NextMarker'], safe='')}")
        found += page[member]
    return found


def digest(package):
    return base64.b64encode(hashlib.sha256(package).digest()).decode()


def work(url, one, draw):
    """Changes one thing until the host is gone."""
    call = Caller(url)
    try:
        while True:
            one.change(call, draw)
    except Killed:
        pass


def live(folder, things, draw):
    """One life of the host: everything is there, and much is changed until it is killed."""
    host = Host(folder)
    call = Caller(host.url)
    for one in things:
        one.check(call)
    draws = [random.Random(draw.random()) for _ in things]
    with concurrent.futures.ThreadPoolExecutor(len(things)) as workers:
        working = [workers.submit(work, host.url, *pair) for pair in zip(things, draws)]
        # The moment of the kill is the point: it is drawn, not waited for.
        time.sleep(draw.random() * LONGEST)
        host.process.kill()
        host.process.wait()
        for worker in working:
            worker.result()


def test_what_was_acknowledged_is_there_after_any_kill(tmp_path):
    seen = tmp_path / "seen"
    seen.mkdir()
    host = Host(tmp_path / "data")
    deploy = Deployer(host.client(), "kills")
    records = deploy(RECORDS.format(folder=str(seen)), Timeout=30)
    # One process at a time: those of many that wait would take the machine from the changes.
    host.client().put_function_concurrency(FunctionName=records.name, ReservedConcurrentExecutions=1)
    assert host.stop() == 0

    draw = random.Random(SEED)
    events = Events(records.name)
    things = [*(Function(f"function-{number}") for number in range(4)), Layer("layer"), events]
    for _ in range(KILLS):
        live(tmp_path / "data", things, draw)

    host = Host(tmp_path / "data")
    for one in things:
        one.check(Caller(host.url))
    missing = lambda: [event for event in events.accepted if not (seen / event).exists()]
    wait_until(lambda: not missing(), lambda: f"{len(missing())} of {len(events.accepted)} events were not run")
    assert host.stop() == 0
    print(f"{KILLS} kills, {len(events.accepted)} events accepted and run")
