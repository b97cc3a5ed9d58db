//! A whole agent in a network namespace of its own, asked over its socket.

use super::{Control, Instance, Request, Unclaimed, ask};
use crate::outlet::Nowhere;
use crate::settings::sample;
use crate::{Agent, Outlet, Settings};
use nix::sched::{CloneFlags, unshare};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

fn settings() -> Settings {
    Settings { interval: Duration::from_secs(60), memory_budget: 1 << 20, ..sample() }
}

/// An agent that follows `wanted`, one after the other, at each reload, until `over`.
fn run(instance: Instance, wanted: Vec<Settings>, over: &AtomicBool) {
    unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace: these tests need root");
    let (agent, _) = Agent::attach(settings(), Box::new(|_| {})).expect("the agent attaches to lo");
    let mut wanted = wanted.into_iter();
    let reload = move || wanted.next().ok_or_else(|| "no configuration any more".into());
    let control = Control::new(Box::new(reload), || false).listen(instance).expect("a thread");
    let outlet = Outlet::new(Nowhere).expect("a thread");
    agent.run(outlet, control, || over.load(Ordering::Relaxed), |_, _| {}).expect("it runs");
}

/// Ends the agent when the test ends, also where it fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn root_a_reload_is_followed_as_a_whole_or_not_at_all() -> Result<(), Unclaimed> {
    let path: PathBuf = std::env::temp_dir().join(format!("weirt-trial-{}", std::process::id()));
    let instance = Instance::claim(Some(&path))?;
    let quick = Settings { interval: Duration::from_millis(50), max_flows: 7, ..settings() };
    let half_wrong =
        Settings { idle_timeout: Duration::from_secs(1), memory_budget: 2 << 20, ..quick.clone() };
    let wanted = vec![settings(), half_wrong, quick];
    let over = AtomicBool::new(false);
    let said = |request| ask(&path, request).expect("an answer");
    thread::scope(|scope| {
        let ends = Ends(&over);
        scope.spawn(|| run(instance, wanted, &over));
        assert!(said(Request::Reload).contains("reloaded: nothing has changed"));
        assert!(said(Request::Reload).contains("--memory-budget cannot change while the agent runs"));
        let before = said(Request::Status);
        assert!(
            before.contains("\"idle_timeout_seconds\":15.0") && before.contains("\"interval_seconds\":60.0")
        );
        assert!(before.contains("\"drains\":{\"count\":0,"), "{before}");
        let line = said(Request::Reload);
        assert!(
            line.contains("2 settings changed: interval 50ms (was 60s), max-flows 7 (was 1000)"),
            "{line}"
        );
        assert!(said(Request::Reload).contains("\"error\":\"no configuration any more\""));
        // The next drain is not a minute away any more.
        let drained = || !said(Request::Status).contains("\"drains\":{\"count\":0,");
        assert!((0..300).any(|_| drained()), "no drain");
        assert!(said(Request::Status).contains("\"max_flows\":7"));
        drop(ends);
    });
    assert!(!path.exists());
    Ok(())
}
