"""SQS, as far as a reader of queues needs it: messages stay until they are deleted, and hide while they are read."""

import collections
import hashlib
import http.server
import json
import threading
import time
import uuid


class Queues:
    """The server, and the queues that it has: any name is one."""

    def __init__(self):
        self.waiting = collections.defaultdict(list)
        self.hidden = collections.defaultdict(dict)
        self.receives = collections.Counter()
        self.changed = threading.Condition()
        queues = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                operation = self.headers["x-amz-target"].removeprefix("AmazonSQS.")
                name = asked["QueueUrl"].rsplit("/", 1)[1]
                answer = json.dumps(getattr(queues, operation)(name, asked)).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def send(self, name, *bodies, **attributes):
        """Puts messages into a queue; answers their ids."""
        messages = [
            {
                "MessageId": str(uuid.uuid4()),
                "ReceiptHandle": str(uuid.uuid4()),
                "Body": body,
                "MD5OfBody": hashlib.md5(body.encode()).hexdigest(),
                "Attributes": {"ApproximateReceiveCount": "1"},
                **attributes,
            }
            for body in bodies
        ]
        with self.changed:
            self.waiting[name] += messages
            self.changed.notify_all()
        return [message["MessageId"] for message in messages]

    def show_again(self, name):
        """What is hidden is shown, as when its visibility timeout is over."""
        with self.changed:
            self.waiting[name] += self.hidden.pop(name, {}).values()
            self.changed.notify_all()

    def hidden_ids(self, name):
        """Of messages that were received and not deleted."""
        with self.changed:
            return {message["MessageId"] for message in self.hidden[name].values()}

    def is_empty(self, name):
        with self.changed:
            return not self.waiting[name] and not self.hidden[name]

    def ReceiveMessage(self, name, asked):
        deadline = time.monotonic() + asked["WaitTimeSeconds"]
        with self.changed:
            self.receives[name] += 1
            self.changed.wait_for(lambda: self.waiting[name], max(0, deadline - time.monotonic()))
            given = self.waiting[name][: asked["MaxNumberOfMessages"]]
            del self.waiting[name][: len(given)]
            self.hidden[name].update((message["ReceiptHandle"], message) for message in given)
        return {"Messages": given} if given else {}

    def DeleteMessageBatch(self, name, asked):
        with self.changed:
            for entry in asked["Entries"]:
                self.hidden[name].pop(entry["ReceiptHandle"], None)
        return {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]], "Failed": []}

    def close(self):
        self.server.shutdown()
        self.server.server_close()
