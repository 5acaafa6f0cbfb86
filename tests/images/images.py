"""Makes container images as AWS's are, from packages of public registries alone, and loads them into an engine.

`cargo xtask images` runs it: `images.py FOLDER` keeps downloads and the result in that folder: `images.tar`, as
`docker save` writes it. With `--archive` it is not loaded. Nothing is pulled. The images have AWS's names, AWS's
emulator and the official runtime clients in them, over what Debian has to offer:

    public.ecr.aws/lambda/python:3.x          awslambdaric, on the Python of this Debian
    public.ecr.aws/lambda/nodejs:22           aws-lambda-ric, on Node.js from npm
    public.ecr.aws/lambda/provided:al2023     nothing but a C library and a shell
"""

import contextlib
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

import docker

AWS_EMULATOR = "aws-sam-cli==1.170.0"
PYTHON_CLIENT = "awslambdaric==4.2.2"
NODE_CLIENT = "aws-lambda-ric@4.0.2"
NODE_VERSION = "22.23.3"
REGISTRY = "public.ecr.aws/lambda"
# Debian's name, uname's, npm's, that of AWS's emulator.
ARCHITECTURES = {"amd64": ("x86_64", "x64", "x86_64"), "arm64": ("aarch64", "arm64", "arm64")}

SOURCES = pathlib.Path(__file__).parent / "files"
# What Debian's packages want for their installation, and a function never needs.
SUPERFLUOUS = {"cdebconf", "debconf", "dpkg", "install-info", "openssl", "readline-common", "tar"}
SUPERFLUOUS_FOLDERS = ["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/sbin", "var/lib"]
COMMANDS = "sh ls cat sleep env mkdir cp mv rm ln chmod id ps kill wget head tail grep sed df stat dd true false"
ENVIRONMENT = {
    "LANG": "en_US.UTF-8",
    "TZ": ":/etc/localtime",
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
    "LAMBDA_TASK_ROOT": "/var/task",
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
}


def run(*command, cwd=None):
    return subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.PIPE, text=True).stdout


class Packages:
    """Downloads, each made once."""

    def __init__(self, folder):
        self.folder = folder
        self.architecture = run("dpkg", "--print-architecture").strip()
        self.machine, self.npm, self.aws = ARCHITECTURES[self.architecture]
        if not self.depends("python3"):
            run("apt-get", "update", "-qq")
        names = re.findall(r"\bpython3\.\d+$", self.depends("python3"), re.MULTILINE)
        self.python = names[0].removeprefix("python")

    def depends(self, *names):
        no = [f"--no-{kind}" for kind in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")]
        return run("apt-cache", "depends", *no, *names)

    def closure(self, *names):
        """These packages of Debian and all that they cannot do without."""
        found, new = set(), set(names)
        while new := new - found:
            found |= new
            new = set(re.findall(r"Depends: ([a-z0-9.+-]+)$", self.depends(*sorted(new)), re.MULTILINE)) - SUPERFLUOUS
            new = {name for name in new if not name.startswith("perl")}
        return found

    def once(self, name, fill):
        """The folder of this name, filled at the first time."""
        folder = self.folder / name
        if not folder.exists():
            unfinished = folder.with_name(f"{name}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            fill(unfinished)
            unfinished.rename(folder)
        return folder

    def debian(self, names):
        def fill(folder):
            run("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *sorted(names), cwd=folder)

        digest = hashlib.sha256(" ".join(sorted(names)).encode()).hexdigest()[:8]
        return self.once(f"debian-{digest}", fill)

    def emulator(self):
        def fill(folder):
            pip("download", "--no-deps", "--dest", folder, AWS_EMULATOR)
            [wheel] = folder.glob("*.whl")
            member = f"samcli/local/rapid/aws-lambda-rie-{self.aws}"
            (folder / "aws-lambda-rie").write_bytes(zipfile.ZipFile(wheel).read(member))
            (folder / "aws-lambda-rie").chmod(0o755)
            wheel.unlink()

        return self.once("emulator", fill)

    def python_client(self):
        platform = f"manylinux2014_{self.machine}"

        def fill(folder):
            of_version = ["--implementation", "cp", "--python-version", self.python, "--only-binary=:all:"]
            pip("install", "--no-compile", "--platform", platform, *of_version, "--target", folder, PYTHON_CLIENT)

        return self.once(f"python-client-{self.python}", fill)

    def npm_package(self, name):
        def fill(folder):
            [archive] = run("npm", "pack", "--silent", name, cwd=folder).split()
            with tarfile.open(folder / archive) as tar:
                tar.extractall(folder, filter="data")
            (folder / archive).unlink()

        return self.once(name.replace("@", "-"), fill) / "package"


def pip(command, *args):
    run(sys.executable, "-m", "pip", command, "--quiet", "--disable-pip-version-check", *map(str, args))


def base_layer(root, packages, names):
    for package in packages.debian(names).glob("*.deb"):
        run("dpkg-deb", "--extract", package, root)
    certificates = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_bytes(b"".join(file.read_bytes() for file in certificates))
    for folder in SUPERFLUOUS_FOLDERS + ["usr/share/ca-certificates"]:
        shutil.rmtree(root / folder, ignore_errors=True)
    for folder in ("tmp", "proc", "sys", "dev", "opt", "var/task", "var/runtime", "var/lang/bin"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for kind in ("passwd", "group"):
        (root / "etc" / kind).write_bytes((root / f"usr/share/base-passwd/{kind}.master").read_bytes())
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")
    for name in COMMANDS.split():
        if not (root / "bin" / name).exists():
            (root / "bin" / name).symlink_to("busybox")


def emulator_layer(root, packages):
    put(root / "usr/local/bin/aws-lambda-rie", packages.emulator() / "aws-lambda-rie")
    put(root / "lambda-entrypoint.sh", SOURCES / "lambda-entrypoint.sh")


def python_layer(root, packages, names, base):
    for package in packages.debian(names).glob("*.deb"):
        run("dpkg-deb", "--extract", package, root)
    for folder in SUPERFLUOUS_FOLDERS + ["usr/share"]:
        shutil.rmtree(root / folder, ignore_errors=True)
    shutil.copytree(packages.python_client(), root / "var/runtime")
    python = f"python{packages.python}"
    (root / "var/lang/bin").mkdir(parents=True)
    for name in ("python3", python):
        (root / "var/lang/bin" / name).symlink_to(f"/usr/bin/{python}")
    put(root / "var/runtime/bootstrap", SOURCES / "bootstrap-python.sh", VERSION=packages.python)
    compile_modules(root, base, packages, python)


def compile_modules(root, base, packages, python):
    """Debian does this when a package is installed; without it each cold start would parse the standard library. Done
    by the very interpreter that is in the image, with the image's own C library."""
    libraries = [folder / f"{part}lib/{packages.machine}-linux-gnu" for folder in (base, root) for part in ("", "usr/")]
    [loader] = (base / f"lib/{packages.machine}-linux-gnu").glob("ld-linux-*")
    interpreter = [loader, "--library-path", ":".join(map(str, libraries)), root / "usr/bin" / python, "-I", "-S"]
    folders = [root / f"usr/lib/{python}", root / "var/runtime"]
    command = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", root, "-p", "/", *folders]
    environment = {"PYTHONHOME": str(root / "usr")}
    subprocess.run([*map(str, interpreter + command)], env=environment, check=False, stdout=subprocess.DEVNULL)
    assert list((root / f"usr/lib/{python}/__pycache__").glob("os.*.pyc")), "the standard library was not compiled"


def node_layer(root, packages):
    node = packages.npm_package(f"node-linux-{packages.npm}@{NODE_VERSION}") / "bin/node"
    put(root / "var/lang/bin/node", node)
    client = (packages.npm_package(NODE_CLIENT) / "index.mjs").read_text()
    # The compiled half of the client would need a compiler.
    assert client.count('"./rapid-client.node"') == 1
    put(root / "var/runtime/rapid-client.cjs", SOURCES / "rapid-client.cjs")
    (root / "var/runtime/index.mjs").write_text(client.replace("./rapid-client.node", "./rapid-client.cjs"))
    put(root / "var/runtime/bootstrap", SOURCES / "bootstrap-node.sh", VERSION=NODE_VERSION.split(".")[0])


def put(target, source, **values):
    """Copies an executable; `@NAME@` in it becomes that value."""
    target.parent.mkdir(parents=True, exist_ok=True)
    content = source.read_bytes()
    for name, value in values.items():
        content = content.replace(f"@{name}@".encode(), value.encode())
    target.write_bytes(content)
    target.chmod(0o755)


class Archive:
    """What `docker save` writes: configurations, and layers that images share. The same input makes the same bytes."""

    def __init__(self, file, architecture):
        self.tar = tarfile.open(fileobj=file, mode="w")
        self.architecture = architecture
        self.manifest = []

    def layer(self, root):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for path in sorted(root.rglob("*")):
                tar.add(path, str(path.relative_to(root)), recursive=False, filter=of_root)
        content = buffer.getvalue()
        digest = hashlib.sha256(content).hexdigest()
        self.put(f"{digest}/layer.tar", content)
        return digest

    def image(self, name, layers):
        config = {
            "architecture": self.architecture,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}" for layer in layers]},
            "config": {
                "Env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
                "Entrypoint": ["/lambda-entrypoint.sh"],
                "WorkingDir": "/var/task",
            },
        }
        content = json.dumps(config).encode()
        file = f"{hashlib.sha256(content).hexdigest()}.json"
        self.put(file, content)
        layers = [f"{layer}/layer.tar" for layer in layers]
        self.manifest.append({"Config": file, "RepoTags": [f"{REGISTRY}/{name}"], "Layers": layers})

    def put(self, name, content):
        member = tarfile.TarInfo(name)
        member.size = len(content)
        self.tar.addfile(member, io.BytesIO(content))

    def close(self):
        self.put("manifest.json", json.dumps(self.manifest).encode())
        self.tar.close()


def of_root(member):
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = "root"
    return member


def make(packages, folder):
    """Writes the archive; answers its path."""
    base_names = packages.closure("libc6", "libstdc++6", "zlib1g") | {"busybox-static", "ca-certificates", "base-passwd"}
    python_names = packages.closure(f"python{packages.python}") - base_names
    with ThreadPoolExecutor() as pool:
        downloads = [
            lambda: [packages.debian(names) for names in (base_names, python_names)],
            packages.emulator,
            packages.python_client,
            lambda: packages.npm_package(NODE_CLIENT),
            lambda: packages.npm_package(f"node-linux-{packages.npm}@{NODE_VERSION}"),
        ]
        for download in [pool.submit(download) for download in downloads]:
            download.result()
    roots = folder / "roots"
    shutil.rmtree(roots, ignore_errors=True)
    base, emulator, python, node = (roots / name for name in ("base", "emulator", "python", "node"))
    for root in (base, emulator, python, node):
        root.mkdir(parents=True)
    base_layer(base, packages, base_names)
    emulator_layer(emulator, packages)
    python_layer(python, packages, python_names, base)
    node_layer(node, packages)
    result = folder / "images.tar"
    with open(result, "wb") as file:
        archive = Archive(file, packages.architecture)
        common = [archive.layer(base), archive.layer(emulator)]
        archive.image("provided:al2023", common)
        archive.image(f"python:{packages.python}", [*common, archive.layer(python)])
        archive.image(f"nodejs:{NODE_VERSION.split('.')[0]}", [*common, archive.layer(node)])
        archive.close()
    shutil.rmtree(roots)
    return result


def key():
    """What the images are made from: they are made anew when it changes."""
    files = [pathlib.Path(__file__), *sorted(SOURCES.iterdir())]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def load(made):
    engine = docker.from_env(timeout=300)
    with open(made, "rb") as archive:
        # Engines differ in how they tell what they have loaded; what counts is that they have told all of it.
        with contextlib.suppress(ValueError):
            for _ in engine.api.load_image(archive):
                pass


def main():
    folder, has_engine = pathlib.Path(sys.argv[1]), "--archive" not in sys.argv
    folder.mkdir(parents=True, exist_ok=True)
    os.umask(0o022)
    made, stamp = folder / "images.tar", folder / "made-from.txt"
    if not (made.exists() and stamp.exists() and stamp.read_text() == key()):
        make(Packages(folder), folder)
        stamp.write_text(key())
    if has_engine:
        load(made)
    with tarfile.open(made) as archive:
        for image in json.load(archive.extractfile("manifest.json")):
            print(*image["RepoTags"])


if __name__ == "__main__":
    main()
