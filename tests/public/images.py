"""What an OCI archive holds, without what two builders may choose: times, packing, digests of packed bytes."""

import gzip
import hashlib
import io
import json
import tarfile

KINDS = {tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "hard",
         tarfile.CHRTYPE: "char", tarfile.BLKTYPE: "block", tarfile.FIFOTYPE: "fifo"}


def kind(entry):
    """What an entry of a tar is."""
    return KINDS.get(entry.type, str(entry.type))


def digest(file):
    """The beginning of a file's SHA-256."""
    return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def opened(file):
    """The tar that a layer is, packed or not."""
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return tarfile.open(fileobj=io.BytesIO(gzip.decompress(file.read())) if packed else file)


def manifest(tar):
    """The manifest of the only image of an archive, and how its blobs are read."""
    def blob(descriptor):
        return tar.extractfile("blobs/" + descriptor["digest"].replace(":", "/"))

    found = json.loads(tar.extractfile("index.json").read())
    while "manifests" in found:
        found = json.loads(blob(found["manifests"][0]).read())
    return found, blob


def described(path):
    """Configuration and history."""
    with tarfile.open(path) as tar:
        found, blob = manifest(tar)
        config = json.loads(blob(found["config"]).read())
    history = [{key: value for key, value in entry.items() if key != "created"} for entry in config.pop("history", [])]
    config.pop("created", None)
    config.pop("rootfs", None)
    return {"configuration": {**config, **config.pop("config", {})}, "history": history}


def read(path):
    """Configuration, history and the entries of every layer."""
    with tarfile.open(path) as tar:
        found, blob = manifest(tar)
        layers = [entries(opened(blob(layer))) for layer in found["layers"]]
    return {**described(path), "layers": layers}


def entries(layer):
    """Sorted lines, one for each entry of a layer."""
    lines = []
    for entry in layer:
        line = f"{kind(entry)} {entry.name.rstrip('/')} {entry.mode:o} {entry.uid}:{entry.gid}"
        if entry.isfile():
            line += " " + digest(layer.extractfile(entry))
        elif entry.linkname:
            line += " -> " + entry.linkname
        xattrs = {key: value for key, value in entry.pax_headers.items() if key.startswith("SCHILY.xattr.")}
        lines.append(line + (f" {xattrs}" if xattrs else ""))
    return sorted(lines)
