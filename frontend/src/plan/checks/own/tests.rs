//! What the own rules say, and what they let pass.

use std::sync::Arc;

use crate::ignore::IgnoreRules;
use crate::plan::tests::{Registry, request};
use crate::plan::{ContextFiles, PlanRequest};

fn found_with(text: &str, request: &PlanRequest) -> Vec<String> {
    let dockerfile = crate::parse(text).unwrap_or_else(|errors| panic!("{errors:?} in {text}"));
    let found = crate::check(&dockerfile, request, &Registry::new());
    assert!(found.errors.is_empty(), "{:?} in {text}", found.errors);
    let warnings = found.warnings.iter();
    warnings
        .map(|warning| format!("{}: {}", warning.rule, warning.message))
        .collect()
}

fn own() -> PlanRequest {
    PlanRequest {
        own_rules: true,
        ..request()
    }
}

/// What is found in a stage with these instructions.
fn found(instructions: &str) -> Vec<String> {
    found_with(&format!("FROM busybox\n{instructions}"), &own())
}

#[track_caller]
fn is_fine(instructions: &[&str]) {
    for text in instructions {
        assert_eq!(found(text), [""; 0], "{text}");
    }
}

#[test]
fn an_arg_above_what_does_not_use_it() {
    assert_eq!(
        found("ARG VERSION\nRUN apt-get update && apt-get install -y curl\nRUN build $VERSION\n"),
        [
            "rbuild/ArgTooEarly: ARG VERSION stands above \"RUN apt-get update && apt-get install -y…\", which does \
          not use it and would run again for each new value; declare it right before its first use, \
          \"RUN build $VERSION\""
        ]
    );
    let said = found(
        "ARG A\nARG B\nRUN mkdir /a\nRUN apk add x\nRUN --network=none npm ci\nRUN wget x\nENV A=$A\nLABEL b=${B}\n",
    );
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].contains("\"RUN apk add x\" and 2 more RUNs, which do not use it"),
        "{said:?}"
    );
    is_fine(&[
        // Used at once, by name or unseen.
        "ARG V\nRUN fetch $V\nRUN apt-get install x\n",
        "ARG V\nRUN ./configure\nRUN apt-get install x\nRUN fetch $V\n",
        "ARG V\nRUN apt-get install x && echo V\nRUN fetch $V\n",
        "ARG V\nRUN apt-get install x=$(cat y)\nRUN fetch $V\n",
        "ARG V\nRUN <<E\napt-get install ${V}\nE\nRUN fetch $V\n",
        // Nobody names it: it is for programs that read it unasked.
        "ARG V\nRUN apt-get install x\n",
        "ARG DEBIAN_FRONTEND=x\nRUN apt-get install x\nRUN echo $DEBIAN_FRONTEND\n",
        // The same in every build.
        "ARG TARGETARCH\nRUN apt-get install x\nRUN fetch $TARGETARCH\n",
        // Declared once more where it is used.
        "ARG V\nRUN apt-get install x\nARG V\nRUN fetch $V\n",
        // Not worth a word.
        "ARG V\nRUN mkdir /x\nRUN fetch $V\n",
        // A COPY does not see it.
        "ARG V\nCOPY a /\nRUN fetch $V\n",
    ]);
}

#[test]
fn lists_that_are_updated_alone() {
    let message = "rbuild/LoneAptUpdate: This RUN updates the package lists and installs nothing: a later RUN \
                   installs from lists that may be months old, or fails; put update and install into one RUN";
    for text in [
        "RUN apt-get update\n",
        "RUN set -ex; apt-get -qq update && rm -rf /tmp/x\n",
        "RUN [\"apt-get\", \"update\"]\nRUN apt-get install x\n",
        "RUN <<E\nsed -i s/a/b/ /etc/apt/sources.list\napt update\nE\n",
    ] {
        assert_eq!(found(text), [message], "{text}");
    }
    is_fine(&[
        "RUN apt-get update && apt-get install -y x\n",
        "RUN apt-get update; apt-get upgrade -y\n",
        "RUN apt-get update && ./install.sh\n",
        "RUN apt-get update && curl -O x.deb && dpkg -i x.deb\n",
        "RUN apt-get update && rm -rf /var/lib/apt/lists/*\n",
        "RUN apt-get update && sh -c \"$(curl x)\"\n",
        "RUN --mount=type=cache,target=/var/lib/apt/lists apt-get update\n",
        "RUN if x; then apt-get update; fi\n",
        "RUN yum update\n",
        "SHELL [\"powershell\"]\nRUN apt-get update\n",
    ]);
}

#[test]
fn everything_before_the_dependencies() {
    assert_eq!(
        found("COPY . /app\nWORKDIR /app\nRUN npm ci && npm run build\n"),
        [
            "rbuild/CopyBeforeInstall: COPY brings every file before \"npm ci\", which then runs again when any of \
          them changes; copy package.json and package-lock.json first, install, then copy the rest"
        ]
    );
    for text in [
        "ADD ./ .\nRUN pip install -r requirements.txt\n",
        "COPY * /x/\nRUN if a; then yarn; fi\n",
        "COPY go.mod .\nCOPY . .\nRUN go mod download\n",
    ] {
        assert_eq!(found(text).len(), 1, "{text}");
    }
    is_fine(&[
        "COPY package*.json .\nRUN npm ci\nCOPY . .\nRUN npm run build\n",
        "COPY package*.json .\nRUN npm ci\nCOPY . .\nRUN npm ci --omit=dev\n",
        "COPY . .\nRUN --mount=type=cache,target=/root/.npm npm ci\n",
        "COPY src .\nRUN npm ci\n",
        "COPY --from=busybox . .\nRUN npm ci\n",
        "COPY --exclude=src . .\nRUN npm ci\n",
        "COPY . .\nRUN npm install -g typescript\n",
        "COPY . .\nRUN cargo build --release\n",
        "COPY . .\nRUN pip install .\n",
    ]);
    let picked = PlanRequest {
        ignored: Some(IgnoreRules::parse(b"*\n!package*.json\n").unwrap()),
        ..own()
    };
    assert_eq!(
        found_with("FROM busybox\nCOPY . .\nRUN npm ci\n", &picked),
        [""; 0]
    );
}

#[derive(Debug)]
struct Files(&'static [(&'static str, u64)]);

impl ContextFiles for Files {
    fn find(&self, wanted: &(dyn Fn(&[u8], u64) -> bool + Sync)) -> Vec<(Vec<u8>, u64)> {
        let files = self.0.iter().map(|(path, size)| (path.as_bytes(), *size));
        let found = files.filter(|(path, size)| wanted(path, *size));
        found.map(|(path, size)| (path.to_vec(), size)).collect()
    }

    fn head(&self, _: &str) -> Vec<u8> {
        b"-----BEGIN PRIVATE KEY-----\n".to_vec()
    }
}

#[test]
fn a_context_without_an_ignore_file() {
    let unguarded = PlanRequest {
        unguarded: Some(Arc::new(Files(&[
            ("main.c", 99_999_999),
            ("data/dump.sql", 1_200_000_000),
            ("data/x", 100_000_000),
            ("tls/server.key", 1704),
            (".env", 12),
        ]))),
        ..own()
    };
    let said = |text: &str| found_with(&format!("FROM busybox\n{text}"), &unguarded);
    assert_eq!(
        said("COPY . /app\n"),
        [
            "rbuild/NoIgnoreFile: There is no .dockerignore, and this COPY takes .env (looks like a secret), \
          tls/server.key (looks like a secret), data/x (100MB) and 1 more; leave out what the image does not need"
        ]
    );
    assert!(
        said("ARG D=data\nADD $D /\n")[0]
            .contains("this ADD takes data/x (100MB), data/dump.sql (1.2GB);")
    );
    for text in [
        "COPY main.c /\n",
        "COPY .env data/dump.sql /x/\n",
        "COPY --exclude=.env --exclude=data --exclude=tls . /\n",
        "RUN --mount=type=bind,target=/x true\n",
        "# check=skip=rbuild/NoIgnoreFile\nCOPY . /app\n",
    ] {
        assert_eq!(said(text), [""; 0], "{text}");
    }
    assert_eq!(found("COPY . /app\n"), [""; 0]);
}

#[test]
fn a_build_asks_them_if_the_file_names_them() {
    let request = PlanRequest {
        ignored: Some(IgnoreRules::parse(b"a\n!b\n").unwrap()),
        ..request()
    };
    let said = |first: &str| {
        found_with(
            &format!("{first}FROM busybox\nRUN apt-get update\n"),
            &request,
        )
    };
    assert_eq!(said(""), [""; 0]);
    assert_eq!(said("# check=experimental=all\n"), [""; 0]);
    let one = said("# check=experimental=rbuild/LoneAptUpdate\n");
    assert!(
        one.len() == 1 && one[0].starts_with("rbuild/LoneAptUpdate"),
        "{one:?}"
    );
    let all = said("# check=experimental=rbuild/all\n");
    assert_eq!(all.len(), 2);
    assert!(
        all[1].starts_with("rbuild/UselessIgnoreException: The exception \"!b\""),
        "{all:?}"
    );
}

#[test]
fn only_what_a_build_asks_can_fail_it() {
    let text = |first: &str| format!("{first}FROM busybox\nRUN apt-get update\n");
    let errors = |first: &str, request: &PlanRequest| {
        let dockerfile = crate::parse(&text(first)).unwrap();
        crate::check(&dockerfile, request, &Registry::new())
            .errors
            .len()
    };
    assert_eq!(errors("# check=error=true\n", &own()), 0);
    let named = "# check=error=true;experimental=rbuild/all\n";
    assert_eq!(errors(named, &own()), 1);
    assert_eq!(errors(named, &request()), 1);
}

#[test]
fn stages_that_the_target_does_not_need_are_not_asked() {
    let text = "FROM busybox AS a\nRUN apt-get update\nFROM busybox AS b\n";
    assert_eq!(found_with(text, &own()).len(), 1);
    let request = PlanRequest {
        target: Some("b".to_owned()),
        ..own()
    };
    assert_eq!(found_with(text, &request), [""; 0]);
}
