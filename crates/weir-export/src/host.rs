//! Who sends.

/// What this host is called, where that can be told as text.
pub fn name() -> Option<String> {
    nix::unistd::gethostname().ok()?.into_string().ok()
}
