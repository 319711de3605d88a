"""Images that stand in for base images: a file system in which every program succeeds and does nothing."""

import gzip
import hashlib
import http.server
import io
import json
import struct
import tarfile
import threading
import urllib.parse

PLATFORMS = [("linux", "amd64", ""), ("linux", "arm64", "v8"), ("linux", "arm", "v7"), ("linux", "arm", "v6"),
             ("linux", "386", ""), ("linux", "ppc64le", ""), ("linux", "s390x", ""), ("linux", "riscv64", ""),
             ("darwin", "arm64", ""), ("darwin", "amd64", ""), ("windows", "amd64", "")]
SHELLS = ["bin/sh", "bin/bash", "bin/ash", "usr/bin/env", "bin/true", "bin/busybox"]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def nothing():
    """A static program that ends with 0: an ELF file of one segment."""
    code = bytes.fromhex("31ffb83c0000000f05")  # xor edi, edi; mov eax, 60; syscall
    size, start = 64 + 56 + len(code), 0x400000
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, start + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, start, start, size, size, 4096) + code


def layer(name, paths, programs, people):
    """A tar: the program under all names, users, and `paths` (a slash at the end is a directory).

    No two images have the same, or BuildKit would see one step in two equal ones of two stages.
    """
    buffer = io.BytesIO()
    made = set()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        def put(path, content=None, mode=0o755, link=None):
            path = path.strip("/")
            parts = path.split("/")
            for end in range(1, len(parts)):
                if "/".join(parts[:end]) not in made:
                    put("/".join(parts[:end]))
            if not path or path in made:
                return
            made.add(path)
            entry = tarfile.TarInfo(path)
            entry.mode, entry.mtime = mode, 1700000000
            if link:
                entry.type, entry.linkname = tarfile.LNKTYPE, link
            elif content is None:
                entry.type = tarfile.DIRTYPE
            else:
                entry.size = len(content)
            tar.addfile(entry, None if content is None or link else io.BytesIO(content))

        put("tmp", mode=0o1777)
        put("etc/stand-in", name.encode(), 0o644)
        for name in SHELLS + programs:
            name = name if "/" in name else "usr/local/bin/" + name
            put(name, nothing())
        users = {"root": 0, "nobody": 65534}
        users.update({name: 1000 + number for number, name in enumerate(sorted(people - set(users)))})
        put("etc/passwd", "".join(f"{n}:x:{i}:{i}::/home:/bin/sh\n" for n, i in users.items()).encode(), 0o644)
        put("etc/group", "".join(f"{n}:x:{i}:\n" for n, i in users.items()).encode(), 0o644)
        wanted = sorted(path.replace("*", "x").replace("?", "x") for path in paths)
        for path in wanted:
            directory = path.endswith("/") or any(other.startswith(path.rstrip("/") + "/") for other in wanted)
            put(path, None if directory else b"stand-in\n")
    return buffer.getvalue()


class Standins:
    """All images of one case: any name has one, and names differ in what their configuration says."""

    def __init__(self, paths, programs, people):
        self.blobs, self.asked, self.described = {}, {}, {}
        self.contents = set(paths), list(programs), set(people)

    def tar(self, name):
        """The layer of an image."""
        return layer(name, *self.contents)

    def blob(self, data, media_type):
        if not isinstance(data, bytes):
            data = json.dumps(data).encode()
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.blobs[digest] = (media_type, data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def dice(self, name):
        """Bytes that decide what a configuration says."""
        return hashlib.sha256(name.encode()).digest()

    def image(self, name):
        """The descriptor of an index for `name`."""
        if name in self.described:
            return self.described[name]
        tar = self.tar(name)
        packed = self.blob(gzip.compress(tar, 1, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip")
        dice = self.dice(name)
        config = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", f"BASE={name}"], "Cmd": ["/bin/sh"]}
        if dice[0] % 3 == 0:
            config["Entrypoint"] = ["entry", name]
        if dice[1] % 4 == 0:
            config["WorkingDir"] = "/srv/base"
        if dice[2] % 4 == 0:
            config["Labels"] = {"base": name}
        if dice[3] % 5 == 0:
            config["ExposedPorts"] = {"80/tcp": {}}
        if dice[4] % 5 == 0:
            config["Volumes"] = {"/data": {}}
        if dice[5] % 6 == 0:
            config["StopSignal"] = "SIGQUIT"
        if "onbuild" in name:
            config["OnBuild"] = ["ARG ONBUILT=yes", "RUN triggered ${ONBUILT}", "COPY . /usr/src/app"]
        manifests = []
        for system, architecture, variant in PLATFORMS:
            machine = {"architecture": architecture, "os": system, **({"variant": variant} if variant else {})}
            described = self.blob({**machine, "created": "2024-01-01T00:00:00Z", "config": config,
                                   "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest()]},
                                   "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "stand-in"}]},
                                  "application/vnd.oci.image.config.v1+json")
            manifest = self.blob({"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": [packed]}, MANIFEST)
            manifests.append({**manifest, "platform": machine})
        self.described[name] = self.blob({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}, INDEX)
        return self.described[name]

    def archive(self, dest):
        """Writes an OCI archive of the images that were asked for, under their whole names."""
        index = []
        for name, descriptor in sorted(self.asked.items()):
            index.append({**descriptor, "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}})
        with tarfile.open(dest, "w") as tar:
            def put(path, data):
                entry = tarfile.TarInfo(path)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
            put("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            put("index.json", json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": index}).encode())
            for digest, (_, data) in self.blobs.items():
                put("blobs/sha256/" + digest.removeprefix("sha256:"), data)


class Server:
    """A registry that has the current case's images under every name, as a mirror of every other one, and
    a web server that has a file at every address below /file/."""

    def __init__(self):
        self.current = None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.answer(self)

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                """Whoever has enough of an answer may hang up."""

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request):
        path, _, query = request.path.partition("?")
        host = urllib.parse.parse_qs(query).get("ns", ["docker.io"])[0]
        current = self.current
        parts = path.split("/")
        media_type, data, status = "application/octet-stream", b"", 200
        if path.startswith("/file/"):
            data = b"file\n"
        elif path != "/v2/" and current and parts[-2] == "manifests":
            name = "/".join(parts[2:-2])
            if parts[-1].startswith("sha256:"):
                status = 200 if parts[-1] in current.blobs else 404
                media_type, data = current.blobs.get(parts[-1], (media_type, data))
            else:
                whole = f"{host}/{name}:{parts[-1]}"
                descriptor = current.image(whole)
                current.asked[whole] = descriptor
                media_type, data = current.blobs[descriptor["digest"]]
        elif path != "/v2/" and current and parts[-2] == "blobs":
            status = 200 if parts[-1] in current.blobs else 404
            media_type, data = current.blobs.get(parts[-1], (media_type, data))
        request.send_response(status)
        request.send_header("Content-Type", media_type)
        request.send_header("Content-Length", str(len(data)))
        if status == 200:
            request.send_header("Docker-Content-Digest", "sha256:" + hashlib.sha256(data).hexdigest())
            request.send_header("Last-Modified", "Wed, 01 Jan 2020 00:00:00 GMT")
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(data)
