//! `create`: makes a container and prints its id.

use crate::cli::container::CreateArgs;
use crate::containers::{create, image, life, request};
use crate::home::Home;
use crate::output::print;
use crate::report::{Class, Failure};
use crate::stop::Signals;

/// Makes a container.
pub fn run(args: &CreateArgs, home: &Home) -> anyhow::Result<u8> {
    let request = request::understand(&args.flags, false)?;
    let store = home.enter_and_open_alone()?;
    let (row, document) = make(&store, &args.flags, request).map_err(|mut failure| {
        // What docker's daemon refuses is 1 here.
        if matches!(failure.class, Class::Container(_)) {
            failure.class = Class::Refused;
        }
        failure
    })?;
    life::describe(&store, &row, &document)?;
    print(&format!("{}\n", row.id))?;
    Ok(0)
}

/// Makes a container of an image that is fetched first if it is not there.
pub fn make(
    store: &cache::Store,
    flags: &crate::cli::container::Flags,
    request: request::Request,
) -> Result<
    (
        cache::StoredContainer,
        crate::containers::document::Document,
    ),
    Failure,
> {
    let cidfile = flags
        .whole
        .cidfile
        .as_deref()
        .map(CidFile::new)
        .transpose()?;
    let signals = Signals::take();
    let name = flags.whole.name.as_deref().filter(|name| !name.is_empty());
    let image = image::find(store, &request.image, &flags.whole, &signals)?;
    let made = create::create(store, request, &image, name)?;
    if let Some(file) = cidfile {
        file.write(&made.0.id)?;
    }
    Ok(made)
}

/// A file that is made for the id of a container, and goes when there is none.
struct CidFile<'p> {
    path: &'p std::path::Path,
    is_written: bool,
}

impl<'p> CidFile<'p> {
    fn new(path: &'p std::path::Path) -> Result<Self, Failure> {
        use crate::containers::ENGINE;
        match std::fs::File::create_new(path) {
            Ok(_) => Ok(Self {
                path,
                is_written: false,
            }),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(Failure::new(
                ENGINE,
                format!(
                    "container ID file found, make sure the other container isn't running or delete {}",
                    path.display()
                ),
            )),
            Err(error) => {
                let mut failure = Failure::new(
                    ENGINE,
                    format!("failed to create the container ID file {}", path.display()),
                );
                failure.causes = vec![error.to_string()];
                Err(failure)
            }
        }
    }

    fn write(mut self, id: &str) -> Result<(), Failure> {
        std::fs::write(self.path, id)
            .map_err(|error| crate::export::unwritable(self.path, &error))?;
        self.is_written = true;
        Ok(())
    }
}

impl Drop for CidFile<'_> {
    fn drop(&mut self) {
        if !self.is_written {
            // An empty file that stays is said by the next who wants it.
            let _ = std::fs::remove_file(self.path);
        }
    }
}
