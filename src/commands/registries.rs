//! `pull` and `push`: images from and to registries.

use frontend::plan::ResolveError;
use image::{ImageRef, Platform};

use crate::cli::build::Progress as Mode;
use crate::cli::images::{PullArgs, PushArgs};
use crate::export::parse_name;
use crate::home::{Home, store_failure};
use crate::images::{Images, complete, find, send, settle, snapshot};
use crate::output::print;
use crate::progress::Progress;
use crate::report::{Class, Failure};

/// Fetches an image with all its layers; it gets its name once all of it was what it should be.
pub fn pull(args: &PullArgs, home: &Home) -> anyhow::Result<u8> {
    let name: ImageRef = args.image.parse().map_err(|error: image::ReferenceError| {
        Failure::new(Class::Yours, format!("the name `{}`: {error}", args.image))
    })?;
    let platform = match &args.platform {
        Some(text) => text
            .parse()
            .map_err(|error: image::PlatformError| Failure::from_error(Class::Yours, &error))?,
        None => Platform::host(),
    };
    let store = home.enter_and_open()?;
    let cancel = crate::stop::on_signal();
    let progress = Progress::new(if args.quiet { Mode::Quiet } else { Mode::Auto });
    let images = Images::new(&store, true, &cancel);
    settle(&store, &name.to_string(), &cancel).map_err(|error| error.failure())?;
    let before = store.image(&name.to_string()).ok();
    let found = images.ask(&name, &platform).map_err(failure)?;
    let own = found.resolved.config.platform();
    if args.platform.is_some() && !own.serves(&platform) {
        return Err(Failure::new(
            Class::Refused,
            format!(
                "image with reference {name} was found but its platform ({own}) does not match the specified platform ({platform})"
            ),
        )
        .into());
    }
    let (stack, _pins) = snapshot(&images, &found.resolved, &progress, &cancel)?;
    images
        .keep(&name, &found, Some(&stack))
        .map_err(|error| store_failure(&error))?;
    progress.finish();
    if args.quiet {
        print(&format!("{name}\n"))?;
        return Ok(0);
    }
    let status = if before.is_some_and(|before| before.manifest == found.root) {
        "Image is up to date"
    } else {
        "Downloaded newer image"
    };
    print(&format!(
        "Digest: {}\nStatus: {status} for {}\n{name}\n",
        found.root,
        name.familiar()
    ))?;
    Ok(0)
}

fn failure(error: ResolveError) -> Failure {
    let failure = Failure::new(Class::Refused, error.message);
    match error.help {
        Some(help) => failure.help(help),
        None => failure,
    }
}

/// Sends an image to the registry of its name, or of another one.
pub fn push(args: &PushArgs, home: &Home) -> anyhow::Result<u8> {
    let remote = args.remote.as_deref().map(parse_name).transpose()?;
    let store = home.enter_and_open()?;
    let stored = find(&store, &args.image)?;
    let name = match remote {
        Some(name) => name,
        None => args
            .image
            .parse::<ImageRef>()
            .ok()
            .filter(|name| stored.names.contains(&name.to_string()) && name.digest.is_none())
            .ok_or_else(|| {
                Failure::new(
                    Class::Refused,
                    format!("`{}` says not where to push to", args.image),
                )
                .help(format!(
                    "give a name: rbuild push {} REGISTRY/NAME[:TAG]",
                    args.image
                ))
            })?,
    };
    let cancel = crate::stop::on_signal();
    let progress = Progress::new(if args.quiet { Mode::Quiet } else { Mode::Auto });
    let images = Images::new(&store, false, &cancel);
    if !args.quiet {
        print(&format!(
            "The push refers to repository [{}]\n",
            name.name()
        ))?;
    }
    let root = complete(&images, &stored, &progress, &cancel)?;
    send(&images, &name, &root, &progress)?;
    progress.finish();
    store
        .tag_image(&stored.manifest, &name.at_digest(root.digest))
        .map_err(|error| store_failure(&error))?;
    if args.quiet {
        print(&format!("{name}\n"))?;
    } else {
        print(&format!(
            "{}: digest: {} size: {}\n",
            name.tag.as_deref().unwrap_or_default(),
            root.digest,
            root.size
        ))?;
    }
    Ok(0)
}
