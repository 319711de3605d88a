"""BuildKit and rbuild, asked the same questions about one staged case."""

import contextlib
import json
import os
import re
import subprocess
import tempfile
import time

LINT = re.compile(r"^WARNING: (\w+) - \S*\n(.*)\n[^\n]*:(\d+)\n-{5}", re.MULTILINE)
LINT_BARE = re.compile(r"^WARNING: (\w+)\n(.*)\n[^\n]*:(\d+)\n-{5}", re.MULTILINE)
HIDDEN = re.compile(r"^(\[internal\]|\[auth\]|\[export\]|FROM |\[[^\]]*\] LINK |exporting|importing|resolve image config|local://|docker-image://)")
ALLOW = ["--allow=security.insecure", "--allow=network.host"]
FROM = re.compile(r"^\[[^\]]*\] FROM |^\[[^\]]*\] https?://")


def call(command, seconds, **more):
    """(exit status, standard output, standard error); status is none when it took too long."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, **more)
    except subprocess.TimeoutExpired:
        return None, "", "took too long"
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def column(text):
    """The first words of a table's lines, without its head."""
    return [line.split()[0] for line in text.splitlines()[1:] if line and not line[0].isspace()]


def parameters(text):
    """Rows of names and values under the heads of their tables. rbuild lists cache mounts too."""
    rows, head = [], None
    for line in text.splitlines():
        if re.match(r"(BUILD ARG|SECRET|SSH|CACHE)\b", line):
            head = line.split()[0]
        elif line.strip() and head not in (None, "CACHE"):
            rows.append([head, *re.split(r"\s{2,}", line.rstrip())[:2]])
    return sorted(rows)


class BuildKit:
    """A daemon of its own, for which every registry is the one on this machine."""

    def __init__(self, buildkitd, buildctl, registry, hosts, place, seconds):
        self.buildctl, self.seconds = buildctl, seconds
        self.socket = "unix://" + os.path.join(place, "buildkitd.sock")
        config = os.path.join(place, "buildkitd.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f'[registry."{registry}"]\nhttp = true\n')
            for host in sorted(hosts):
                file.write(f'[registry."{host}"]\nmirrors = ["{registry}"]\n')
        self.log = open(os.path.join(place, "buildkitd.log"), "w", encoding="utf-8")
        self.daemon = subprocess.Popen(
            [buildkitd, "--config", config, "--root", os.path.join(place, "buildkit"), "--addr", self.socket,
             "--oci-worker-net=host", "--containerd-worker=false", "--oci-worker-gc=false",
             "--allow-insecure-entitlement", "security.insecure", "--allow-insecure-entitlement", "network.host"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        for _ in range(100):
            if call([buildctl, "--addr", self.socket, "debug", "workers"], 10)[0] == 0:
                return
            time.sleep(0.1)
        raise SystemExit("buildkitd does not start; see " + self.log.name)

    def close(self):
        self.daemon.terminate()
        self.daemon.wait()
        self.log.close()

    def ask(self, staged, *options):
        folder, name = os.path.split(staged.dockerfile)
        return call([self.buildctl, "--addr", self.socket, "build", "--frontend=dockerfile.v0",
                     f"--local=context={staged.context}", f"--local=dockerfile={folder}", f"--opt=filename={name}",
                     "--opt=cmdline=docker/dockerfile:1", *ALLOW,
                     *[f"--opt=build-arg:{arg}" for arg in staged.build_args], *options], self.seconds)

    def lint(self, staged):
        status, out, err = self.ask(staged, "--opt=requestid=frontend.lint", "--progress=quiet")
        found = [(rule, text, int(line)) for rule, text, line in LINT.findall(out) + LINT_BARE.findall(out)]
        return status, sorted(found), message(out + err)

    def outline(self, staged):
        status, out, _ = self.ask(staged, "--opt=requestid=frontend.outline", "--progress=quiet")
        return status, parameters(out)

    def targets(self, staged):
        status, out, _ = self.ask(staged, "--opt=requestid=frontend.targets", "--progress=quiet")
        return status, column(out)

    def build(self, staged, dest, more=(), packing=""):
        status, _, err = self.ask(staged, f"--output=type=oci,dest={dest}{packing}", "--progress=rawjson", *more)
        names, ran = {}, set()
        for line in err.splitlines():
            with contextlib.suppress(ValueError):
                for vertex in json.loads(line).get("vertexes") or []:
                    names[vertex["digest"]] = vertex["name"]
                    if vertex.get("completed") and not vertex.get("error"):
                        ran.add(vertex["digest"])
        steps = sorted(name for digest, name in names.items() if digest in ran and not HIDDEN.match(name) and not FROM.match(name))
        return status, steps, message(err)


class Rbuild:
    """The program under test."""

    def __init__(self, program, seconds):
        self.program, self.seconds = program, seconds

    def ask(self, store, staged, command, *options):
        args = [part for arg in staged.build_args for part in ("--build-arg", arg)]
        return call([self.program, "--root", store, *command, "-f", staged.dockerfile, *args, *options, staged.context], self.seconds)

    def load(self, store, archive):
        status, _, err = call([self.program, "--root", store, "load", "-i", archive], self.seconds)
        if status:
            raise SystemExit("rbuild cannot load stand-ins: " + err)

    def lint(self, store, staged):
        status, out, err = self.ask(store, staged, ["build", "--call=check,format=json", *ALLOW])
        try:
            found = json.loads(out)
        except ValueError:
            return status, [], message(err)
        warnings = [(w["ruleName"], w["detail"], (w["location"]["ranges"] or [{"start": {"line": 0}}])[0]["start"]["line"])
                    for w in found.get("warnings") or []]
        failure = (found.get("buildError") or {}).get("message")
        return (1 if failure else 0), sorted(warnings), failure or message(err)

    def outline(self, store, staged):
        status, out, _ = self.ask(store, staged, ["build", "--call=outline", *ALLOW])
        return status, parameters(out)

    def targets(self, store, staged):
        status, out, _ = self.ask(store, staged, ["build", "--call=targets"])
        return status, column(out)

    def build(self, store, staged, dest, more=(), packing=""):
        status, _, err = self.ask(store, staged, ["build", "--progress=json", *ALLOW],
                                  "-o", f"type=oci,dest={dest}{packing}", *more)
        steps = []
        for line in err.splitlines():
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if event.get("event") in ("done", "cached") and not HIDDEN.match(event["name"]) and not FROM.match(event["name"]):
                    steps.append(event["name"])
        return status, sorted(steps), message(err)


def message(text):
    """The line that says why."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("{")]
    for line in lines:
        if re.match(r"^(ERROR|error)\b", line):
            return line
    return lines[-1] if lines else ""
