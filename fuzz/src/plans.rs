//! Dockerfiles lowered, checked and outlined, on an image that is always there.

use frontend::plan::{ImageName, ResolveError, ResolvedImage};
use frontend::{ImageResolver, PlanRequest};
use image::{DiffId, Digest, ImageConfig, Platform};
use solver::op::{ImageOrigin, Op};

/// Has an image under every name that is one.
struct Every;

impl ImageResolver for Every {
    fn resolve(&self, name: &ImageName, on: &Platform) -> Result<ResolvedImage, ResolveError> {
        let digest = Digest::of(name.text().as_bytes());
        let mut config = ImageConfig {
            architecture: on.architecture.clone(),
            os: on.os.clone(),
            ..ImageConfig::default()
        };
        config.config.env = vec!["PATH=/bin".to_owned()];
        config.rootfs.diff_ids = vec![DiffId(digest)];
        let triggers = ["COPY --from=b /a$A /b", "RUN <<E\n$A\nE", "ARG A"];
        if name.text().contains("onbuild") {
            config.config.on_build = triggers.map(str::to_owned).to_vec();
        }
        Ok(ResolvedImage {
            reference: name.text().to_owned(),
            origin: ImageOrigin::Store,
            manifest: digest,
            config,
        })
    }

    fn modified(&self, _: &Op) -> Result<Option<i64>, ResolveError> {
        Ok(Some(1))
    }
}

fn request() -> PlanRequest {
    PlanRequest {
        now: "2026-01-02T03:04:05Z".to_owned(),
        platforms: vec![Platform::new("linux", "amd64", "")],
        build_args: vec![("A".to_owned(), "a".to_owned())],
        ..PlanRequest::default()
    }
}

/// A whole Dockerfile.
pub fn plan(data: &[u8]) {
    if let Ok(source) = std::str::from_utf8(data) {
        lower(source);
    }
}

fn lower(source: &str) {
    let Ok(dockerfile) = frontend::parse(source) else {
        return;
    };
    let request = request();
    let inside = |span: Option<solver::Span>| {
        let text = span.map(|span| source.get(span.start..span.end));
        assert_ne!(text, Some(None), "{span:?} in {source:?}");
    };
    match frontend::plan(&dockerfile, &request, &Every) {
        Ok(plan) => {
            let target = &plan.targets[0];
            assert!(plan.graph.iter().any(|(id, _)| id == target.root));
            plan.warnings
                .iter()
                .for_each(|warning| inside(Some(warning.span)));
        }
        Err(error) => inside(error.span),
    }
    frontend::check(&dockerfile, &request, &Every);
    let _ = frontend::plan::outline(&dockerfile, &request, &Every);
    frontend::outline::targets(&dockerfile);
}

/// What stands in one place where a small language of its own is spoken: the first byte says which.
pub fn flags(data: &[u8]) {
    let Some((kind, text)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    if text.contains('\n') {
        return;
    }
    let line = match kind % 12 {
        0..=3 => format!("RUN --mount={text} true"),
        4 => format!("ADD {text} /d/"),
        5 => format!("COPY --chmod={text} a /d/"),
        6 => format!("EXPOSE {text}"),
        7 => format!("HEALTHCHECK {text} CMD true"),
        8 => format!("ADD --checksum={text} https://example.com/a /d"),
        9 => format!("RUN --device={text} true"),
        10 => format!("STOPSIGNAL {text}"),
        _ => format!("COPY {text} /d/"),
    };
    lower(&format!("FROM a AS b\nFROM a\n{line}\n"));
}
