//! The study: every arm under every traffic, again and again.

mod slice;
mod watcher;
