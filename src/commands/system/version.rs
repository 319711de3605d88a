//! `version`: which rbuild this is. There is no server; what docker says of one is the same program.

use serde_json::json;

use crate::cli::system::VersionArgs;
use crate::home::Home;

/// Shows it.
pub fn run(args: &VersionArgs, _home: &Home) -> anyhow::Result<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let platform = image::Platform::host();
    let kernel = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let own = json!({
        "Platform": { "Name": "rbuild" },
        "Version": version,
        "Os": platform.os,
        "Arch": platform.architecture,
        "KernelVersion": kernel,
    });
    let document = json!({ "Client": own, "Server": own });
    super::print(&document, args.format.as_deref(), || {
        format!(
            "Client: rbuild\n Version:           {version}\n OS/Arch:           {}/{}\n Kernel version:    {kernel}\n\nServer: none (rbuild needs no daemon)\n",
            platform.os, platform.architecture
        )
    })?;
    Ok(0)
}
