//! When a new credential is due, and what is handed out while there is none.

use std::process::Stdio;
use std::time::Duration;

use dev_vault::{Fault, On, Reply};

use super::place::entries;
use super::{PROCESS, READ, later, later_command, leases_of, with};
use crate::support::parallel::each;
use crate::support::{Run, World, tool};

/// A Vault whose leases live 15 minutes, a job's call, and what it has just got and kept.
fn kept_for_15_minutes() -> (World, Run, String) {
    let world = World::start();
    leases_of(&world, 900);
    let run = world.command_as("token", PROCESS);
    let first = run.run().ok();
    (world, run, first)
}

#[test]
fn a_lease_that_may_be_left_is_told_although_the_old_credential_works() {
    let world = World::start();
    leases_of(&world, 900);
    let run = world.command_as("token", PROCESS);
    run.run().ok();
    world.vault.clear_faults();
    world.vault.inject(On::path(READ), Fault::cut_answer(40));
    let Some(ran) = later(&run, "+11m") else { return };
    ran.failed(80, "leak");
}

#[test]
fn a_credential_is_used_until_a_new_one_is_due_and_never_when_it_has_ended() {
    if tool::find("faketime").is_none() {
        return;
    }
    // Seconds of life, a moment when it is fresh, one when a new one is due, and one when it has ended.
    let cases = [
        (900, "+9m", "+11m", "+16m"),
        (800, "+8m", "+570", "+14m"),
        (3600, "+43m", "+45m", "+61m"),
        (43_200, "+703m", "+705m", "+721m"),
    ];
    each(cases.to_vec(), |(seconds, fresh, due, ended)| {
        let world = World::start();
        leases_of(&world, seconds);
        let run = world.command_as("token", PROCESS);
        let first = run.run().ok();
        let at = |offset: &str| later(&run, offset).expect("faketime");
        assert_eq!(at(fresh).ok(), first, "{seconds}");
        assert_eq!(world.count(READ), 1, "{seconds}");
        // A clock that was set back, by more than a minute: who knows what it would take for fresh.
        assert_ne!(at("-2m").ok(), first, "{seconds}");
        let second = run.run().ok();
        assert_ne!(at(due).ok(), second, "{seconds}");
        let third = run.run().ok();
        world.vault.clear_faults();
        world.vault.inject(On::path(READ).every(), Fault::answer(Reply::error(503, "Vault is sealed")));
        assert_eq!(at(due).ok(), third, "an old one is better than none, {seconds}");
        // A sealed Vault is waited for when there is nothing else.
        later(&with(&run, &format!("{PROCESS} --retries 0")), ended).expect("faketime").failed(69, "unavailable");
    });
}

#[test]
fn while_there_is_no_new_one_the_old_one_is_handed_out_and_vault_left_alone_for_half_a_minute() {
    let (world, run, first) = kept_for_15_minutes();
    world.vault.clear_faults();
    world.vault.inject(On::path(READ).every(), Fault::answer(Reply::error(403, "permission denied")));
    for (offset, reads) in [("+11m", 2), ("+670", 2), ("+705", 3)] {
        let Some(ran) = later(&run, offset) else { return };
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str(), ran.code), (first.as_str(), "", 0), "{offset}");
        // A policy's refusal is answered by one try as a write.
        assert_eq!(world.count(READ), reads, "{offset}: {:?}", world.requests());
    }
    let told = later(&with(&run, &format!("{PROCESS} -v")), "+13m").expect("faketime");
    assert!(told.stderr.contains("using the cached credential, because there is no new one: "), "{told:?}");
}

#[test]
fn the_old_one_is_better_than_none_also_where_nothing_can_be_locked_any_more() {
    let (world, run, first) = kept_for_15_minutes();
    // What a folder is that was mounted again, for reading only.
    let entry = entries(&world).remove(0);
    let lock = format!("lock-{}", &entry.file_name().and_then(|name| name.to_str()).expect("a name")[..2]);
    std::fs::remove_file(entry.with_file_name(&lock)).expect("a lock");
    std::fs::create_dir(entry.with_file_name(&lock)).expect("a folder");
    world.vault.clear_faults();
    world.vault.inject(On::path(READ).every(), Fault::answer(Reply::error(503, "Vault is sealed")));
    let Some(ran) = later(&run, "+11m") else { return };
    assert_eq!(ran.ok(), first);
    later(&with(&run, &format!("{PROCESS} --retries 0")), "+16m").expect("faketime").failed(69, "unavailable");
}

#[test]
fn while_another_caller_asks_for_a_new_one_the_old_one_is_handed_out_and_nobody_waits() {
    let (world, run, first) = kept_for_15_minutes();
    let Some(mut command) = later_command(&run, "+11m") else { return };
    world.vault.clear_faults();
    world.vault.inject(On::path(READ), Fault::hang_before());
    let mut asking = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    assert!(world.vault.wait_for_requests(2, Duration::from_secs(30)), "the read never came");
    assert_eq!(later(&run, "+11m").expect("faketime").ok(), first);
    assert_eq!(world.count(READ), 2);
    // Only ours: a faketime that is killed leaves a semaphore under its number, and a later one of that number fails.
    let children = format!("/proc/{0}/task/{0}/children", asking.id());
    let ours = std::fs::read_to_string(children).expect("faketime's child");
    let ours = ours.trim().parse().ok().and_then(rustix::process::Pid::from_raw).expect("one number");
    rustix::process::kill_process(ours, rustix::process::Signal::KILL).expect("a signal");
    asking.wait().expect("its end");
}
