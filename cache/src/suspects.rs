//! Layers that may not have reached the disk before the machine stopped.

use std::sync::OnceLock;

/// Names this boot of the machine (proc_sys_kernel(5)); empty where the kernel does not say.
pub(crate) fn boot_id() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map(|text| text.trim().to_owned())
            .unwrap_or_default()
    })
}
