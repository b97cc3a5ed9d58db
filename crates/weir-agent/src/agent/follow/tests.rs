//! An agent in a network namespace of the test's own: what it watches, by its own word.

use crate::outlet::Nowhere;
use crate::settings::sample;
use crate::{Agent, Outlet, Selection, Settings};
use nix::sched::{CloneFlags, unshare};
use std::process::Command;

fn ip(args: &str) {
    let status = Command::new("ip").args(args.split(' ')).status().expect("ip");
    assert!(status.success(), "ip {args}");
}

fn named(glob: &str) -> Selection {
    Selection { names: vec![glob::Pattern::new(glob).expect("a glob")], ..Selection::default() }
}

fn agent(selection: Selection) -> Agent {
    let settings = Settings { selection, memory_budget: 4 << 20, ..sample() };
    Agent::attach(settings, Box::new(|line| panic!("{line}"))).expect("it attaches: these tests need root").0
}

fn watched(agent: &Agent) -> Vec<String> {
    agent.following.names().0
}

#[test]
fn root_the_selection_is_replaced_as_a_whole_or_not_at_all() {
    let test = || {
        unshare(CloneFlags::CLONE_NEWNET).expect("these tests need root");
        ip("link add weir1 type bridge");
        ip("link add weir2 type bridge");
        ip("address add 192.0.2.1/24 dev weir2");
        let mut outlet = Outlet::new(Nowhere).expect("a thread");
        let mut agent = agent(named("weir1"));
        assert_eq!(watched(&agent), ["weir1"]);
        agent.select(named("weir*"), &mut outlet).expect("both are there");
        assert_eq!(watched(&agent), ["weir1", "weir2"]);
        let error = agent.check_selection(&named("eth*")).expect_err("there is none").to_string();
        assert!(error.contains("eth*") && error.contains("weir2"), "{error}");
        assert_eq!(watched(&agent), ["weir1", "weir2"]);
        let by_address =
            Selection { addresses: vec!["192.0.2.0/24".parse().expect("a network")], ..Selection::default() };
        agent.check_selection(&by_address).expect("one is there");
        assert_eq!(watched(&agent), ["weir1", "weir2"]);
        agent.select(by_address, &mut outlet).expect("one is there");
        assert_eq!(watched(&agent), ["weir2"]);
        ip("address add 192.0.2.7/24 dev weir1");
        agent.follow(&mut outlet).expect("it follows");
        assert_eq!(watched(&agent), ["weir1", "weir2"]);
    };
    let outcome = std::thread::scope(|scope| scope.spawn(test).join());
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}
