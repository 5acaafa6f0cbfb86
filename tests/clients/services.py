"""A server in the place of SQS, SNS, EventBridge and S3 that takes whatever arrives and remembers it, and has objects."""

import http.server
import json
import queue
import threading
import urllib.parse

from hearth import ANSWER_LIMIT

ENDPOINTS = ("SQS", "SNS", "EVENTS", "S3")
NO_SUCH_KEY = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Key>k</Key></Error>"""


class Request:
    """What arrived: for each service, what its own SDK would have called it with."""

    def __init__(self, handler, body):
        self.method = handler.command
        self.path = handler.path
        self.headers = dict(handler.headers.items())
        self.target = handler.headers.get("x-amz-target")
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def form(self):
        return dict(urllib.parse.parse_qsl(self.body.decode()))

    @property
    def scope(self):
        """Access key, region and service that it is signed for."""
        credential = self.headers["authorization"].split("Credential=")[1].split(",")[0]
        key, _date, region, service, _end = credential.split("/")
        return key, region, service


class Services:
    """The server. `failures` is how many of the next requests it refuses as if it were overloaded; `objects` are what
    buckets hold, by path and query."""

    def __init__(self):
        self.arrived = queue.Queue()
        self.failures = 0
        self.objects = {}
        services = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                services.arrived.put(Request(self, body))
                status = 503 if services.failures else 200
                services.failures = max(0, services.failures - 1)
                self.send_response(status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            do_PUT = do_POST

            def do_GET(self):
                services.arrived.put(Request(self, b""))
                found = services.objects.get(self.path)
                content = NO_SUCH_KEY if found is None else found
                self.send_response(404 if found is None else 200)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def env(self):
        """What tells a host to use it."""
        return {f"AWS_ENDPOINT_URL_{service}": self.url for service in ENDPOINTS}

    def next(self):
        """The next request; waits for it."""
        return self.arrived.get(timeout=ANSWER_LIMIT)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
