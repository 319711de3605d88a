//! `diff`: what a container changed in the files of its image.

use cache::Fate;

use crate::cli::container::DiffArgs;
use crate::containers::{changes, find};
use crate::home::Home;
use crate::output::print;

/// Prints a line for each path: `A` for new ones, `C` for changed ones, `D` for those that are gone.
pub fn run(args: &DiffArgs, home: &Home) -> anyhow::Result<u8> {
    let store = home.enter_and_open()?;
    let row = find::row(&store, &args.container)?;
    let below = changes::below(&store, &row)?;
    let own = changes::shown(&store, &row, &below)?;
    let mut fates = own.fates(&below);
    fates.sort();
    let mut text = String::new();
    for (path, fate) in fates.iter().filter(|(path, _)| !path.is_empty()) {
        let letter = match fate {
            Fate::Added => 'A',
            Fate::Changed => 'C',
            Fate::Deleted => 'D',
        };
        text.push_str(&format!("{letter} /{}\n", String::from_utf8_lossy(path)));
    }
    print(&text)?;
    Ok(0)
}
