"""The engine, as the tests use it."""

import os
import subprocess
import time

LIMIT = 30


def wait_until(condition, what, limit=LIMIT):
    """Waits for what nobody announces; answers what the condition does."""
    deadline = time.monotonic() + limit
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited {limit} s in vain: {what}"
        time.sleep(0.02)
    return answer


class OwnEngine:
    """An engine that the tests may stop."""

    def __init__(self, command):
        self.command = command
        self.pid_file = next(word.split("=")[1] for word in command if word.startswith("--pidfile="))

    def stop(self):
        with open(self.pid_file) as file:
            os.kill(int(file.read()), 15)
        wait_until(lambda: not os.path.exists(self.pid_file), "the engine to end")

    def start(self, engine):
        # Whoever runs the tests reads their output to its end, and an engine goes on.
        with open(os.path.join(os.path.dirname(self.pid_file), "dockerd.log"), "ab") as log:
            subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_until(lambda: answers(engine), "the engine to answer")


def answers(engine):
    try:
        return engine.ping()
    except Exception:
        return False


class Containers:
    """The containers of a function, as the engine knows them."""

    def __init__(self, engine):
        self.engine = engine

    def of(self, function, **filters):
        """All of them, the ended ones too; a list that changes while it is made is made again."""
        label = f"hearth.function={function.name}"
        return self.engine.containers.list(all=True, ignore_removed=True, filters={"label": label, **filters})

    def one(self, function):
        [container] = self.of(function)
        return container
