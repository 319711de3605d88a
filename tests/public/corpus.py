"""The Dockerfiles of a directory of repositories, and what each needs of its surroundings."""

import hashlib
import os
import re

NAME = re.compile(r"^(.*[._-])?(dockerfile|containerfile)([._-].*)?$", re.IGNORECASE)
NOT = re.compile(r"\.(dockerignore|go|md|tmpl|template|j2|jinja2?|ya?ml|json|sh|rs|tsx?|js|in|py|erb|svg|lock|patch|earth)$", re.IGNORECASE)
# A template of something is no Dockerfile yet.
TEMPLATE = re.compile(r"\{\{|\{%|^@[A-Z_]+@|^FROM %%|<%", re.MULTILINE)


class Case:
    """One Dockerfile of one repository."""

    def __init__(self, repo, root, path):
        self.repo, self.root, self.path = repo, root, path
        with open(os.path.join(root, path), encoding="utf-8", errors="strict") as file:
            self.text = file.read()
        self.name = f"{repo.replace('+', '/')}:{path}"

    def key(self):
        """Equal for Dockerfiles that differ in numbers and hashes alone."""
        return hashlib.sha256(re.sub(r"[0-9a-f]{12,}|[0-9]+", "0", self.text).encode()).hexdigest()

    def context(self):
        """The directory that most of what COPY names is in: the Dockerfile's own, one above it, or the top."""
        own = os.path.dirname(self.path)
        above = [own]
        while above[-1]:
            above.append(os.path.dirname(above[-1]))
        wanted = {re.split(r"[^/]*[$*?\[]", word)[0].strip("/") for elsewhere, words in self.transfers() if not elsewhere
                  for word in words if "://" not in word}

        def found(directory):
            return sum(os.path.lexists(os.path.join(self.root, directory, path)) for path in wanted if path)

        return max(above, key=lambda directory: (found(directory), -above.index(directory)))

    def lines(self):
        """Instructions, continuation lines joined; good enough to guess what is needed."""
        escape = "`" if re.search(r"^#\s*escape\s*=\s*`", self.text, re.MULTILINE | re.IGNORECASE) else "\\"
        text = re.sub(r"^[ \t]*#.*\n", "", self.text, flags=re.MULTILINE)
        text = re.sub(re.escape(escape) + r"[ \t]*\n", " ", text)
        return [line.strip() for line in text.split("\n") if line.strip()]

    def transfers(self):
        """(is from a stage or an image, sources) of each COPY and ADD."""
        for line in self.lines():
            match = re.match(r"(?:ONBUILD\s+)?(COPY|ADD)\s+(.*)", line, re.IGNORECASE)
            if not match or "<<" in line:
                continue
            words = match.group(2)
            flags = re.findall(r"(?:^|(?<=\s))--\S+", words)
            words = re.sub(r"(?:^|(?<=\s))--\S+", "", words).strip()
            words = re.findall(r'"([^"]*)"', words) if words.startswith("[") else words.replace('"', "").split()
            yield any(flag.startswith("--from=") for flag in flags), words[:-1]

    def copied(self):
        """Literal paths that come from the context."""
        for elsewhere, words in self.transfers():
            for word in words:
                if not elsewhere and not re.search(r"[$*?\[]|://|^git@", word):
                    yield os.path.normpath(word).lstrip("/")

    def from_stages(self):
        """Literal paths that come from stages and images."""
        for elsewhere, words in self.transfers():
            for word in words:
                if elsewhere and not re.search(r"[$\[]", word):
                    yield word

    def unset(self):
        """NAME=value for what the names of base images need and nothing gives."""
        lines = self.lines()
        given = {match.group(1) for line in lines for match in [re.match(r"ARG\s+(\w+)=.", line, re.IGNORECASE)] if match}
        for line in lines:
            match = re.match(r"FROM\s+(?:--\S+\s+)*(\S+)", line, re.IGNORECASE)
            for found in re.finditer(r"([:@]?)(?:\$(\w+)|\$\{(\w+)\})(:?)", match.group(1) if match else ""):
                name = found.group(2) or found.group(3)
                if name not in given and not re.match("BUILD|TARGET", name):
                    yield f"{name}=" + ("1" if found.group(1) else "stand-in" if found.group(4) or found.group(0) != match.group(1) else "stand-in:1")

    def directories(self):
        """Where WORKDIR leads."""
        for line in self.lines():
            match = re.match(r"WORKDIR\s+(/[^\s$]+)\s*$", line, re.IGNORECASE)
            if match:
                yield match.group(1).rstrip("/") + "/"

    def programs(self):
        """What exec forms start."""
        for line in self.lines():
            match = re.match(r"(?:RUN|SHELL)\s+(?:--\S+\s+)*\[\s*\"([^\"]+)\"", line, re.IGNORECASE)
            if match:
                yield match.group(1)

    def people(self):
        """Literal names of users and groups."""
        for line in self.lines():
            match = re.match(r"USER\s+(\S+)", line, re.IGNORECASE)
            for word in [match.group(1)] if match else re.findall(r"--chown=(\S+)", line):
                yield from (part for part in word.strip('"').split(":") if re.fullmatch(r"[A-Za-z_][\w.-]*", part))


def find(top, most):
    """Cases of every repository below `top`, at most so many of each, all of them different."""
    for repo in sorted(os.listdir(top)):
        root = os.path.join(top, repo)
        cases = {}
        for directory, below, files in os.walk(root):
            below[:] = sorted(name for name in below if name not in (".git", "node_modules", "vendor"))
            for name in sorted(files):
                path = os.path.relpath(os.path.join(directory, name), root)
                if not NAME.match(name) or NOT.search(name) or os.path.islink(os.path.join(root, path)):
                    continue
                try:
                    case = Case(repo, root, path)
                except UnicodeDecodeError:
                    continue
                if re.search(r"^\s*FROM\s", case.text, re.MULTILINE | re.IGNORECASE) and not TEMPLATE.search(case.text):
                    cases.setdefault(case.key(), case)
        cases = list(cases.values())
        step = max(1, len(cases) // most) if most else 1
        yield from cases[::step][:most or None]
