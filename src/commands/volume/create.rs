//! `volume create`: makes a volume, and prints its name.

use cache::NewVolume;

use crate::cli::volume::VolumeCreateArgs;
use crate::containers::{create::random_id, find};
use crate::home::Home;
use crate::output::print;
use crate::report::{Class, Failure};

/// Makes a volume; one of that name that is there already stays as it is.
pub fn run(args: VolumeCreateArgs, home: &Home) -> anyhow::Result<u8> {
    let refused = |message: String| Failure::new(Class::Refused, message);
    if args.driver != "local" {
        let driver = args.driver;
        return Err(refused(format!(
            "error looking up volume plugin {driver}: plugin \"{driver}\" not found"
        ))
        .into());
    }
    if !args.options.is_empty() {
        return Err(
            refused("options of the local driver are not done".to_owned())
                .help("bind a directory with -v, or take memory with --tmpfs")
                .into(),
        );
    }
    if args.name.is_some() && args.volume.is_some() {
        return Err(refused(
            "Conflicting options: either specify --name or provide positional arg, not both"
                .to_owned(),
        )
        .into());
    }
    let wanted = args.volume.or(args.name);
    let labels = args
        .labels
        .into_iter()
        .map(|label| match label.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (label, String::new()),
        });
    let volume = NewVolume {
        anonymous: wanted.is_none(),
        name: match wanted {
            Some(name) => name,
            None => random_id()?,
        },
        labels: labels.collect(),
        ..NewVolume::default()
    };
    let store = home.enter_and_open()?;
    store
        .add_volume(&volume)
        .map_err(|error| find::volume_failure(&error))?;
    print(&format!("{}\n", volume.name))?;
    Ok(0)
}
