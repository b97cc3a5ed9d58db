//! What goes on while a test does something else.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;

/// Does something again and again, in a thread of its own, while `work` is done: until that has ended, also by a panic.
pub fn meanwhile<T>(mut again: impl FnMut() + Send, work: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    scope(|scope| {
        let going_on = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                again();
            }
        });
        let ends = Ends(&is_over);
        let done = work();
        drop(ends);
        going_on.join().expect("what goes on meanwhile");
        done
    })
}

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;
    use std::thread::sleep;
    use std::time::Duration;

    #[test]
    fn it_ends_with_what_it_goes_beside() {
        let mut times = 0;
        let work = || {
            sleep(Duration::from_millis(20));
            "done"
        };
        assert_eq!(meanwhile(|| times += 1, work), "done");
        assert!(times > 0);
        assert!(catch_unwind(|| meanwhile(|| {}, || panic!("this is meant"))).is_err());
    }
}
