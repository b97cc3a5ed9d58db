//! The study: every arm under every traffic, again and again.

mod slice;
#[cfg(test)]
mod tests;
mod watcher;
