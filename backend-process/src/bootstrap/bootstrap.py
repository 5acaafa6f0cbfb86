"""Runs a Python function: fetches events from the Lambda Runtime API and hands them to the handler.

Called as `bootstrap.py OPT PYCACHE`: where the layers are, and where compiled modules may be kept. All else is
in the environment, as on AWS. Where AWS's own client, awslambdaric, can be imported, it is used instead.
"""

import importlib
import importlib.util
import json
import logging
import os
import socket
import sys
import threading
import time
import traceback

API = "/2018-06-01/runtime/"

# What the lines that this thread logs belong to.
current = threading.local()


class Fault(Exception):
    """An error of the runtime's own, under one of the names that AWS gives them."""

    def __init__(self, kind, message, trace=None):
        super().__init__(message)
        self.kind = kind
        self.trace = trace


class RuntimeApi:
    """One connection to the Runtime API. It is spoken by hand: http.client takes longer to import than to use."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host = address
        self.unread = b""

    def next(self):
        return self.call("GET", "invocation/next")

    def respond(self, request_id, body, content_type):
        self.call("POST", f"invocation/{request_id}/response", body, {"Content-Type": content_type})

    def fail(self, request_id, error):
        headers = {"Content-Type": "application/json", "Lambda-Runtime-Function-Error-Type": error["errorType"]}
        self.call("POST", f"invocation/{request_id}/error", to_json(error).encode(), headers)

    def fail_init(self, error):
        headers = {"Content-Type": "application/json", "Lambda-Runtime-Function-Error-Type": error["errorType"]}
        self.call("POST", "init/error", to_json(error).encode(), headers)

    def call(self, method, path, body=b"", headers={}):
        lines = [f"{method} {API}{path} HTTP/1.1", f"Host: {self.host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join(lines + ["", ""]).encode("latin-1", "replace")
        try:
            self.socket.sendall(head + body if len(body) < 65536 else head)
            if len(body) >= 65536:
                self.socket.sendall(body)
            return self.read_response()
        except OSError:
            # Whoever was there is gone, and with it the reason to be.
            os._exit(1)

    def read_response(self):
        received = self.unread
        while b"\r\n\r\n" not in received:
            received += self.receive()
        head, _, body = received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        parts, missing = [body], length - len(body)
        while missing > 0:
            parts.append(self.receive())
            missing -= len(parts[-1])
        body = b"".join(parts)
        self.unread = body[length:]
        return headers, body[:length]

    def receive(self):
        chunk = self.socket.recv(262144)
        if not chunk:
            raise ConnectionError("the Runtime API closed the connection")
        return chunk


class Encoder(json.JSONEncoder):
    """JSON with decimals as numbers, digit by digit, as AWS's client writes them."""

    # The standard encoder has no way to write a number as it is, so that decimals travel in marked strings.
    MARK = os.urandom(16).hex()

    def default(self, value):
        kind = type(value)
        if kind.__name__ == "Decimal" and kind.__module__ == "decimal":
            if value.is_nan():
                return float("nan")
            return f"{self.MARK}{value}{self.MARK}"
        return super().default(value)

    def encode(self, value):
        text = super().encode(value)
        if self.MARK in text:
            text = text.replace(f'"{self.MARK}', "").replace(f'{self.MARK}"', "")
        return text


# Up to Python 3.11 AWS escapes what is not ASCII.
OLDER = {f"AWS_Lambda_python3.{minor}" for minor in range(6, 12)}
to_json = Encoder(ensure_ascii=os.environ.get("AWS_EXECUTION_ENV") in OLDER).encode


class Fields:
    """An object whose attributes are the named members of a dictionary."""

    names = ()

    def __init__(self, values):
        for name in self.names:
            setattr(self, name, values.get(name))

    def __repr__(self):
        return f"{type(self).__name__}([{','.join(f'{name}={getattr(self, name)}' for name in self.names)}])"


class Client(Fields):
    names = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")


class ClientContext(Fields):
    names = ("custom", "env", "client")

    def __init__(self, values):
        super().__init__(values)
        if self.client is not None:
            self.client = Client(self.client)


class CognitoIdentity(Fields):
    names = ("cognito_identity_id", "cognito_identity_pool_id")

    def __init__(self, values):
        self.cognito_identity_id = values.get("cognitoIdentityId")
        self.cognito_identity_pool_id = values.get("cognitoIdentityPoolId")


class LambdaContext:
    """What the handler gets beside the event."""

    def __init__(self, headers):
        self.aws_request_id = headers.get("lambda-runtime-aws-request-id")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn")
        self.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        client_context = json_header(headers, "lambda-runtime-client-context", "Client Context")
        self.client_context = None if client_context is None else ClientContext(client_context)
        self.identity = CognitoIdentity(json_header(headers, "lambda-runtime-cognito-identity", "Cognito Identity") or {})
        self._deadline_ms = int(headers.get("lambda-runtime-deadline-ms", 0))

    def get_remaining_time_in_millis(self):
        return max(self._deadline_ms - int(time.time() * 1000), 0)

    def log(self, message):
        sys.stdout.write(str(message))

    def __repr__(self):
        fields = ",".join(f"{name}={value}" for name, value in vars(self).items() if not name.startswith("_"))
        return f"LambdaContext([{fields}])"


def json_header(headers, name, title):
    text = headers.get(name)
    if not text:
        return None
    try:
        # Headers are read as Latin-1, and what is in them is UTF-8.
        return json.loads(text.encode("latin-1"))
    except Exception as error:
        raise Fault("Runtime.LambdaContextUnmarshalError", f"Unable to parse {title} JSON: {error}")


class Unbuffered:
    """A stream that keeps nothing back: a line that is written is a line that is logged."""

    def __init__(self, stream):
        self.stream = stream

    def write(self, text):
        self.stream.write(text)
        self.stream.flush()

    def writelines(self, lines):
        self.stream.writelines(lines)
        self.stream.flush()

    def __getattr__(self, name):
        return getattr(self.stream, name)


class StdoutHandler(logging.Handler):
    def emit(self, record):
        try:
            sys.stdout.write(self.format(record))
        except Exception:
            self.handleError(record)


class RequestFilter(logging.Filter):
    def filter(self, record):
        record.aws_request_id = getattr(current, "request_id", "")
        record.tenant_id = getattr(current, "tenant_id", None)
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the extra fields of the record in it."""

    ordinary = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "aws_request_id", "tenant_id"}

    def format(self, record):
        trace = record.exc_info
        line = {
            "timestamp": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03}Z",
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "stackTrace": traceback.format_tb(trace[2]) if trace else None,
            "errorType": trace[0].__name__ if trace else None,
            "errorMessage": str(trace[1]) if trace else None,
            "requestId": record.aws_request_id,
            "location": f"{record.pathname}:{record.funcName}:{record.lineno}" if trace else None,
            "tenantId": record.tenant_id,
        }
        extra = {name: value for name, value in vars(record).items() if name not in self.ordinary | set(line)}
        kept = {name: value for name, value in {**line, **extra}.items() if value is not None}
        return json.dumps(kept, ensure_ascii=False, default=str) + "\n"


def logs_json():
    return os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"


def set_up_logging():
    sys.stdout, sys.stderr = Unbuffered(sys.stdout), Unbuffered(sys.stderr)
    logging.Formatter.converter = time.gmtime
    handler = StdoutHandler()
    if logs_json():
        handler.setFormatter(JsonFormatter())
    else:
        line = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
        handler.setFormatter(logging.Formatter(line, "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(RequestFilter())
    root = logging.getLogger()
    root.addHandler(handler)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    if level:
        root.setLevel({"TRACE": "DEBUG", "WARN": "WARNING", "FATAL": "CRITICAL"}.get(level, level))


def log_error(error):
    if logs_json():
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        sys.stdout.write(to_json({"timestamp": stamp, "level": "ERROR", **error}) + "\n")
        return
    lines = [f"[ERROR] {error['errorType']}: {error['errorMessage']}", "Traceback (most recent call last):"]
    for entry in error["stackTrace"]:
        for line in entry.splitlines():
            text = line.lstrip(" ")
            # AWS indents with spaces that its console does not fold.
            lines.append("\u00a0" * (len(line) - len(text)) + text)
    sys.stdout.write("\n".join(lines) + "\n")


def describe(error, request_id):
    """The body that an error is reported with, without the frames of this file above those of the function."""
    if isinstance(error, Fault):
        kind, trace = error.kind, error.trace or []
    else:
        frames = traceback.extract_tb(error.__traceback__)
        while len(frames) > 1 and frames[0].filename == __file__:
            frames = frames[1:]
        kind = type(error).__name__
        trace = traceback.format_list([(f.filename, f.lineno, f.name, f.line) for f in frames])
    return {"errorMessage": str(error), "errorType": kind, "requestId": request_id, "stackTrace": trace}


def load_handler(name):
    module_name, dot, function = name.rpartition(".")
    if not dot:
        reason = "not enough values to unpack (expected 2, got 1)"
        raise Fault("Runtime.MalformedHandlerName", f"Bad handler '{name}': {reason}")
    if module_name.split(".")[0] in sys.builtin_module_names:
        message = f"Cannot use built-in module {module_name} as a handler module"
        raise Fault("Runtime.BuiltInModuleConflict", message)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}")
    except SyntaxError as error:
        trace = [f'  File "{error.filename}" Line {error.lineno}\n    {error.text}']
        raise Fault("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}", trace)
    try:
        return getattr(module, function)
    except AttributeError:
        raise Fault("Runtime.HandlerNotFound", f"Handler '{function}' missing on module '{module_name}'") from None


def marshal(value):
    if isinstance(value, bytes):
        return value, "application/unknown"
    try:
        return to_json(value).encode(), "application/json"
    except Exception as error:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}")


def handle(api, handler, headers, body):
    request_id = headers.get("lambda-runtime-aws-request-id", "")
    try:
        context = LambdaContext(headers)
        try:
            event = json.loads(body)
        except Exception as error:
            raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}")
        answer = marshal(handler(event, context))
    except Exception as error:
        report = describe(error, request_id)
        log_error(report)
        api.fail(request_id, report)
    else:
        api.respond(request_id, *answer)


def serve(api, handler):
    while True:
        headers, body = api.next()
        current.request_id = headers.get("lambda-runtime-aws-request-id", "")
        current.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        trace_id = headers.get("lambda-runtime-trace-id")
        if trace_id is None:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        else:
            os.environ["_X_AMZN_TRACE_ID"] = trace_id
        handle(api, handler, headers, body)


def set_up_paths(layers, pycache):
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    own = os.path.dirname(os.path.abspath(__file__))
    first = [
        os.environ["LAMBDA_TASK_ROOT"],
        os.path.join(layers, "python", "lib", version, "site-packages"),
        os.path.join(layers, "python"),
    ]
    sys.path[:] = first + [path for path in sys.path if path != own]
    # The code is shared and never written to; without this it would be compiled anew at every start.
    sys.pycache_prefix = pycache


def main():
    layers, pycache = sys.argv[1:3]
    handler_name = os.environ["_HANDLER"]
    del sys.argv[1:]
    set_up_paths(layers, pycache)
    if importlib.util.find_spec("awslambdaric"):
        import runpy

        sys.argv[1:] = [handler_name]
        runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)
        return
    set_up_logging()
    address = os.environ["AWS_LAMBDA_RUNTIME_API"]
    api = RuntimeApi(address)
    try:
        handler = load_handler(handler_name)
    except Exception as error:
        report = describe(error, "")
        log_error(report)
        api.fail_init(report)
        sys.exit(1)
    for _ in range(int(os.environ.get("AWS_LAMBDA_MAX_CONCURRENCY", "1")) - 1):
        threading.Thread(target=lambda: serve(RuntimeApi(address), handler), daemon=True).start()
    serve(api, handler)


if __name__ == "__main__":
    main()
