//! What is known of programs that Dockerfiles run: package managers, and those that surely do
//! nothing that a rule would have to know of.

/// A command that installs what a manifest of the project lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Installer {
    /// As it is called in messages.
    pub(super) command: &'static str,
    /// The files that it reads.
    pub(super) manifests: &'static str,
}

const NPM: &str = "package.json and package-lock.json";
const YARN: &str = "package.json and yarn.lock";
const PNPM: &str = "package.json and pnpm-lock.yaml";
const CARGO: &str = "Cargo.toml and Cargo.lock";
const MAVEN: &str = "pom.xml";
const GRADLE: &str = "the build.gradle and settings.gradle files";

/// Options of npm, yarn and pnpm whose value is a word of its own.
const WITH_VALUE: &[&str] = &[
    "--omit",
    "--include",
    "--only",
    "--loglevel",
    "--registry",
    "--network-timeout",
    "--network-concurrency",
    "--cache",
    "--cache-folder",
    "--reporter",
];

/// The installer that a command is; none if it installs something else, or needs more of the
/// project than the manifest.
pub(super) fn installer(words: &[String]) -> Option<Installer> {
    let of = |command, manifests| Some(Installer { command, manifests });
    let (program, rest) = words.split_first()?;
    let (verb, operands) = operands(rest, WITH_VALUE);
    let is_bare = operands.is_empty() && !has(rest, &["-g", "--global"]);
    match (program.as_str(), verb.unwrap_or_default()) {
        ("npm", "ci" | "clean-install") if is_bare => of("npm ci", NPM),
        ("npm", "install" | "i") if is_bare => of("npm install", NPM),
        ("yarn", "" | "install") if is_bare && !has(rest, &["-v", "--version", "--help"]) => {
            of("yarn install", YARN)
        }
        ("pnpm", "install" | "i") if is_bare => of("pnpm install", PNPM),
        ("pnpm", "fetch") if is_bare => of("pnpm fetch", "pnpm-lock.yaml"),
        ("pip" | "pip3", "install") => pip(&rest[1..]),
        ("python" | "python3", _) => match rest {
            [flag, pip_word, install, rest @ ..]
                if flag == "-m" && pip_word == "pip" && install == "install" =>
            {
                pip(rest)
            }
            _ => None,
        },
        ("cargo", "fetch") => of("cargo fetch", CARGO),
        ("cargo", "chef") if operands == ["cook"] => of("cargo chef cook", "recipe.json"),
        ("go", "mod") if operands == ["download"] => of("go mod download", "go.mod and go.sum"),
        ("bundle" | "bundler", "install") if is_bare => {
            of("bundle install", "Gemfile and Gemfile.lock")
        }
        ("composer" | "composer.phar", "install" | "i") if is_bare => {
            of("composer install", "composer.json and composer.lock")
        }
        ("mvn" | "mvnw", _) if has(rest, &["dependency:go-offline", "dependency:resolve"]) => {
            of("mvn dependency:go-offline", MAVEN)
        }
        ("gradle" | "gradlew", "dependencies") if is_bare => of("gradle dependencies", GRADLE),
        _ => None,
    }
}

/// `pip install` of nothing but requirement files.
fn pip(rest: &[String]) -> Option<Installer> {
    let mut files = 0;
    let mut words = rest.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "-r" | "--requirement" => {
                words.next()?;
                files += 1;
            }
            "-i" | "--index-url" | "--extra-index-url" | "-f" | "--find-links"
            | "--trusted-host" | "--timeout" | "--retries" | "--cache-dir" | "-c"
            | "--constraint" => {
                words.next()?;
            }
            "-e" | "--editable" => return None,
            joined if joined.starts_with("-r") || joined.starts_with("--requirement=") => {
                files += 1;
            }
            option if option.starts_with('-') => {}
            // A package, or a directory of the project.
            _ => return None,
        }
    }
    (files > 0).then_some(Installer {
        command: "pip install -r",
        manifests: "the requirements files",
    })
}

/// The first word that is no option, and the others.
fn operands<'w>(words: &'w [String], with_value: &[&str]) -> (Option<&'w str>, Vec<&'w str>) {
    let mut found = Vec::new();
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if with_value.contains(&word) {
            words.next();
        } else if !word.starts_with('-') {
            found.push(word);
        }
    }
    match found.split_first() {
        Some((verb, rest)) => (Some(verb), rest.to_vec()),
        None => (None, found),
    }
}

fn has(words: &[String], wanted: &[&str]) -> bool {
    words.iter().any(|word| wanted.contains(&word.as_str()))
}

/// What apt is told to do; none if it is another program.
pub(super) fn apt_verb(words: &[String]) -> Option<&str> {
    let (program, rest) = words.split_first()?;
    if !matches!(program.as_str(), "apt-get" | "apt" | "aptitude") {
        return None;
    }
    let with_value = [
        "-o",
        "--option",
        "-c",
        "--config-file",
        "-t",
        "--target-release",
    ];
    Some(operands(rest, &with_value).0.unwrap_or_default())
}

/// Package managers of systems: what they do depends on no variable but their own.
const PACKAGES: &[&str] = &[
    "apt-get", "apt", "aptitude", "apk", "yum", "dnf", "microdnf", "tdnf", "zypper", "pacman",
];

/// Programs that do the same whatever variables there are.
const SIMPLE: &[&str] = &[
    ":",
    "add-apt-repository",
    "addgroup",
    "adduser",
    "apt-key",
    "cat",
    "cd",
    "chgrp",
    "chmod",
    "chown",
    "cp",
    "curl",
    "date",
    "echo",
    "export",
    "false",
    "find",
    "gpg",
    "groupadd",
    "gzip",
    "head",
    "install",
    "ldconfig",
    "ln",
    "locale-gen",
    "ls",
    "mkdir",
    "mv",
    "printf",
    "pwd",
    "rm",
    "rmdir",
    "sed",
    "set",
    "sleep",
    "tar",
    "tee",
    "test",
    "touch",
    "tr",
    "true",
    "uname",
    "unzip",
    "update-ca-certificates",
    "useradd",
    "usermod",
    "wget",
    "[",
];

/// Whether a command is one of those that install nothing and start nothing.
pub(super) fn is_simple(words: &[String]) -> bool {
    match words.split_first() {
        Some((program, rest)) if program == "dpkg" => {
            has(rest, &["--add-architecture", "--print-architecture"])
        }
        Some((program, _)) => SIMPLE.contains(&program.as_str()),
        None => false,
    }
}

/// Whether it takes long: something is fetched.
pub(super) fn is_costly(words: &[String]) -> bool {
    let program = words.first().map_or("", String::as_str);
    PACKAGES.contains(&program) || matches!(program, "curl" | "wget") || installer(words).is_some()
}

/// Whether what a command does surely does not depend on a variable that nobody but the project
/// knows, unless it is written in it.
pub(super) fn ignores_variables(words: &[String]) -> bool {
    let program = words.first().map(String::as_str);
    is_simple(words)
        || program.is_some_and(|program| PACKAGES.contains(&program))
        || installer(words).is_some()
}

/// Beginnings of names of variables that such programs read without being told.
const READ: &[&str] = &[
    "ALL_PROXY",
    "APK",
    "APT",
    "AR",
    "BUNDLE",
    "CARGO",
    "CC",
    "CFLAGS",
    "CGO",
    "CI",
    "COMPOSER",
    "CPPFLAGS",
    "CURL",
    "CXX",
    "DEB",
    "DNF",
    "DPKG",
    "FTP",
    "GEM",
    "GIT",
    "GNUPG",
    "GO",
    "GRADLE",
    "GZIP",
    "HOME",
    "HTTP",
    "JAVA",
    "LANG",
    "LC_",
    "LDFLAGS",
    "LD_",
    "MAKE",
    "MAVEN",
    "MVN",
    "NODE",
    "NO_",
    "NPM",
    "PACMAN",
    "PATH",
    "PHP",
    "PIP",
    "PNPM",
    "PREFIX",
    "PYTHON",
    "RACK",
    "RAILS",
    "RUBY",
    "RUST",
    "SHELL",
    "SOURCE_DATE",
    "SSL",
    "TAR",
    "TERM",
    "TMP",
    "TZ",
    "UNZIP",
    "USER",
    "UV_",
    "VIRTUAL",
    "WGET",
    "XDG",
    "YARN",
    "YUM",
    "ZYPP",
];

/// Whether a variable may matter to a program that does not name it.
pub(super) fn is_read_unasked(variable: &str) -> bool {
    let upper = variable.to_ascii_uppercase();
    READ.iter().any(|beginning| upper.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn installers_of_a_manifest_are_told_from_others() {
        for (text, expected) in [
            ("npm ci --omit dev", Some("npm ci")),
            ("npm install", Some("npm install")),
            ("npm install -g typescript", None),
            ("npm install express", None),
            ("npm run build", None),
            ("yarn", Some("yarn install")),
            ("yarn --frozen-lockfile", Some("yarn install")),
            ("yarn build", None),
            ("yarn --version", None),
            ("pnpm i --frozen-lockfile", Some("pnpm install")),
            (
                "pip install --no-cache-dir -r requirements.txt",
                Some("pip install -r"),
            ),
            ("pip3 install -rreq.txt", Some("pip install -r")),
            (
                "python3 -m pip install --requirement=a",
                Some("pip install -r"),
            ),
            ("python -m venv x", None),
            ("pip install -r a -e .", None),
            ("pip install .", None),
            ("pip install flask", None),
            ("cargo fetch --locked", Some("cargo fetch")),
            ("cargo chef cook --release", Some("cargo chef cook")),
            ("cargo build --release", None),
            ("go mod download -x", Some("go mod download")),
            ("go mod tidy", None),
            ("bundle install -j4", Some("bundle install")),
            ("bundle exec rake", None),
            ("composer install --no-dev", Some("composer install")),
            (
                "mvnw -B dependency:go-offline",
                Some("mvn dependency:go-offline"),
            ),
            ("mvn package", None),
            (
                "gradlew dependencies --no-daemon",
                Some("gradle dependencies"),
            ),
            ("gradle build", None),
        ] {
            let found = installer(&words(text)).map(|installer| installer.command);
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn apt_is_understood() {
        for (text, expected) in [
            ("apt-get update", Some("update")),
            ("apt-get -qq -o A::B=1 update", Some("update")),
            ("apt install -y x", Some("install")),
            ("apt-get", Some("")),
            ("apt-cache search", None),
        ] {
            assert_eq!(apt_verb(&words(text)), expected, "{text}");
        }
    }

    #[test]
    fn variables_that_programs_read_are_known() {
        for name in [
            "DEBIAN_FRONTEND",
            "http_proxy",
            "NODE_ENV",
            "CI",
            "GOPROXY",
            "TZ",
        ] {
            assert!(is_read_unasked(name), "{name}");
        }
        for name in ["VERSION", "COMMIT", "APP_VERSION", "BUILD_ID"] {
            assert!(!is_read_unasked(name), "{name}");
        }
    }
}
