//! Resource limits of a process: the fixed ones that every container starts with, and `--ulimit`.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::error::ContainerError;

const UNLIMITED: u64 = libc::RLIM_INFINITY;

/// One limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) resource: Resource,
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

const fn fixed(resource: Resource, soft: u64, hard: u64) -> Limit {
    Limit {
        resource,
        soft,
        hard,
    }
}

/// The files that may be open.
const FILES: Limit = fixed(Resource::RLIMIT_NOFILE, 1024, 524_288);

/// What a container starts with, whatever its caller has: no core files, the descriptors that an
/// init system gives, and else no limits.
const FIXED: [Limit; 12] = [
    fixed(Resource::RLIMIT_CORE, 0, UNLIMITED),
    FILES,
    fixed(Resource::RLIMIT_STACK, 8 << 20, UNLIMITED),
    fixed(Resource::RLIMIT_MEMLOCK, 8 << 20, 8 << 20),
    fixed(Resource::RLIMIT_AS, UNLIMITED, UNLIMITED),
    fixed(Resource::RLIMIT_CPU, UNLIMITED, UNLIMITED),
    fixed(Resource::RLIMIT_DATA, UNLIMITED, UNLIMITED),
    fixed(Resource::RLIMIT_FSIZE, UNLIMITED, UNLIMITED),
    fixed(Resource::RLIMIT_LOCKS, UNLIMITED, UNLIMITED),
    fixed(Resource::RLIMIT_NPROC, UNLIMITED, UNLIMITED),
    fixed(Resource::RLIMIT_RSS, UNLIMITED, UNLIMITED),
    fixed(Resource::RLIMIT_RTTIME, UNLIMITED, UNLIMITED),
];

/// Sets the fixed limits of this process. Where it may not raise a hard limit, the old one stays
/// and bounds the soft one: less is no danger, and nothing could be done about it.
pub(crate) fn fix() {
    for limit in FIXED {
        if setrlimit(limit.resource, limit.soft, limit.hard).is_err()
            && let Ok((_, hard)) = getrlimit(limit.resource)
        {
            // lowering is always allowed
            let _ = setrlimit(limit.resource, limit.soft.min(hard), limit.hard.min(hard));
        }
    }
}

/// How many files a container may have open, soft and hard, if this process may not raise its own.
pub(crate) fn files() -> (u64, u64) {
    let (_, hard) = getrlimit(FILES.resource).unwrap_or((FILES.soft, FILES.hard));
    (FILES.soft.min(hard), FILES.hard.min(hard))
}

/// Sets one limit of this process.
pub(crate) fn set(text: &str) -> Result<(), ContainerError> {
    let limit = parse(text)?;
    setrlimit(limit.resource, limit.soft, limit.hard).map_err(|error| ContainerError::Limit {
        limit: text.to_owned(),
        why: match error {
            nix::Error::EPERM => "this user may not raise the hard limit".to_owned(),
            error => error.desc().to_owned(),
        },
    })
}

/// Reads `name=soft[:hard]`; -1 is no limit.
pub(crate) fn parse(text: &str) -> Result<Limit, ContainerError> {
    let wrong = |why: &str| ContainerError::Limit {
        limit: text.to_owned(),
        why: why.to_owned(),
    };
    let (name, values) = text
        .split_once('=')
        .ok_or_else(|| wrong("expected name=soft[:hard]"))?;
    let resource = match name {
        "core" => Resource::RLIMIT_CORE,
        "cpu" => Resource::RLIMIT_CPU,
        "data" => Resource::RLIMIT_DATA,
        "fsize" => Resource::RLIMIT_FSIZE,
        "locks" => Resource::RLIMIT_LOCKS,
        "memlock" => Resource::RLIMIT_MEMLOCK,
        "msgqueue" => Resource::RLIMIT_MSGQUEUE,
        "nice" => Resource::RLIMIT_NICE,
        "nofile" => Resource::RLIMIT_NOFILE,
        "nproc" => Resource::RLIMIT_NPROC,
        "rss" => Resource::RLIMIT_RSS,
        "rtprio" => Resource::RLIMIT_RTPRIO,
        "rttime" => Resource::RLIMIT_RTTIME,
        "sigpending" => Resource::RLIMIT_SIGPENDING,
        "stack" => Resource::RLIMIT_STACK,
        _ => return Err(wrong("there is no such limit")),
    };
    let value = |text: &str| match text {
        "-1" => Ok(UNLIMITED),
        digits => digits.parse().map_err(|_| wrong("expected a number")),
    };
    let (soft, hard) = match values.split_once(':') {
        Some((soft, hard)) => (value(soft)?, value(hard)?),
        None => (value(values)?, value(values)?),
    };
    if soft > hard {
        return Err(wrong("the soft limit is above the hard one"));
    }
    Ok(fixed(resource, soft, hard))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        let cases = [
            ("nofile=10", Some((Resource::RLIMIT_NOFILE, 10, 10))),
            ("nofile=10:20", Some((Resource::RLIMIT_NOFILE, 10, 20))),
            (
                "core=-1",
                Some((Resource::RLIMIT_CORE, UNLIMITED, UNLIMITED)),
            ),
            ("stack=5:-1", Some((Resource::RLIMIT_STACK, 5, UNLIMITED))),
            ("nofile=20:10", None),
            ("nofile=-1:10", None),
            ("nofile", None),
            ("nofile=", None),
            ("nofile=x", None),
            ("files=1", None),
        ];
        for (text, wanted) in cases {
            let got = parse(text).ok();
            let got = got.map(|limit| (limit.resource, limit.soft, limit.hard));
            assert_eq!(got, wanted, "{text}");
        }
    }
}
