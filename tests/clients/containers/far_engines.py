"""Ways to the engine that lead over a network: TLS with certificates on both sides, and SSH."""

import asyncio
import os
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading

import asyncssh
import trustme

LOCALHOST = "127.0.0.1"


def engine_socket():
    return os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


class TlsDoor:
    """Lets in whoever has a certificate of its authority, and brings them to the engine."""

    def __init__(self, folder):
        authority = trustme.CA()
        self.certificates = folder / "certificates"
        self.certificates.mkdir()
        authority.cert_pem.write_to_path(self.certificates / "ca.pem")
        client = authority.issue_cert("tests@hearth.example")
        client.private_key_pem.write_to_path(self.certificates / "key.pem")
        client.cert_chain_pems[0].write_to_path(self.certificates / "cert.pem")

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
        authority.issue_cert(LOCALHOST, "localhost").configure_cert(context)

        class Guest(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    outside = context.wrap_socket(self.request, server_side=True)
                except (ssl.SSLError, OSError):
                    return
                with outside, socket.socket(socket.AF_UNIX) as inside:
                    inside.connect(engine_socket())
                    there = threading.Thread(target=forward, args=(outside, inside), daemon=True)
                    there.start()
                    forward(inside, outside)
                    there.join()

        self.server = socketserver.ThreadingTCPServer((LOCALHOST, 0), Guest)
        self.server.daemon_threads = True
        self.address = f"tcp://{LOCALHOST}:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def forward(source, target):
    """Until either side ends, which then is the end of both."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except (OSError, ssl.SSLError, ValueError):
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


async def pass_on(source, target):
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
    target.close()


class SshMachine:
    """A machine that lets in `tests` with its key, and has the docker CLI; and an `ssh` that knows the way there, by the
    name of `lab` too."""

    def __init__(self, folder):
        self.commands = []
        key, own_key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
        key.write_private_key(folder / "key")
        (folder / "key").chmod(0o600)
        (folder / "authorized").write_bytes(key.export_public_key())
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        listening = self.listen(own_key, str(folder / "authorized"))
        self.server = asyncio.run_coroutine_threadsafe(listening, self.loop).result(30)
        self.port = self.server.get_port()
        self.address = f"ssh://tests@{LOCALHOST}:{self.port}"

        known = f"[{LOCALHOST}]:{self.port} " + own_key.export_public_key().decode()
        (folder / "known_hosts").write_text(known)
        self.config = folder / "config"
        self.config.write_text(
            f"IdentityFile {folder}/key\nIdentitiesOnly yes\nUserKnownHostsFile {folder}/known_hosts\n"
            f"StrictHostKeyChecking yes\nHost lab\n  HostName {LOCALHOST}\n  Port {self.port}\n  User tests\n"
        )
        self.programs = folder / "bin"
        self.programs.mkdir()
        ssh = self.programs / "ssh"
        # That of the machine, which takes its settings from the home directory of whoever runs it, whatever HOME says.
        ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.config} "$@"\n')
        ssh.chmod(0o755)
        self.environment = {"PATH": f"{self.programs}:{os.environ['PATH']}"}

    async def listen(self, own_key, authorized):
        return await asyncssh.listen(
            LOCALHOST,
            0,
            server_host_keys=[own_key],
            authorized_client_keys=authorized,
            process_factory=self.run,
            encoding=None,
        )

    async def run(self, process):
        """As sshd does it: when the input ends, so does that of the command, and what it still says is passed on."""
        self.commands.append(process.command)
        environment = os.environ | {"DOCKER_HOST": f"unix://{engine_socket()}"}
        pipe = asyncio.subprocess.PIPE
        words = process.command.split()
        there = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, env=environment)
        inwards = asyncio.ensure_future(pass_on(process.stdin, there.stdin))
        await pass_on(there.stdout, process.stdout)
        inwards.cancel()
        process.exit(await there.wait())

    def clients(self):
        """The ssh processes that are there."""
        listed = subprocess.run(["pgrep", "-f", f"ssh -F {self.config} "], capture_output=True, text=True)
        return listed.stdout.split()

    def close(self):
        self.loop.call_soon_threadsafe(self.server.close)
