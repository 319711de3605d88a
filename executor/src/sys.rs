//! The system calls that neither nix nor rustix has; the only unsafe code of the project.
