//! Random stories: whatever callers, clocks, faults and operators do in whatever order, what must hold holds after
//! every step.
//!
//! `plot` draws the steps, `stage` plays them with the real binary against one server and one cache folder; `ground` is
//! that server, the double or a real one; `promise`,
//! `outcome`, `command` and `given_back` say what must hold. A story is its seed: what fails names it, with every step so far.

mod caller;
mod command;
mod eye;
mod given_back;
mod ground;
mod outcome;
mod person;
mod plot;
mod promise;
mod real;
mod stage;
mod trouble;

use crate::support::{parallel, tool};
use ground::Ground;
use plot::{Plot, Random};
use stage::Stage;

/// Steps of a story: enough for a credential to be made, used, lost and made again.
const STEPS: usize = 24;

/// Stories of a run: these, or as many as asked for, from the seed `CI_CREDS_TEST_SEED` on.
const STORIES: u64 = 12;

/// A story waits more than it computes.
const AT_ONCE: usize = 24;

/// Stories of a run on a real server, which is asked for everything that lives after every step.
const REAL_STORIES: u64 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Double,
    Real,
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

fn play(seed: u64, plot: Plot, on: Where) {
    let mut random = Random::new(seed);
    let ground = match on {
        Where::Double => Ground::double(&mut random),
        Where::Real => match Ground::real(&format!("{plot:?}-{seed}").to_lowercase(), &mut random) {
            Some(ground) => ground,
            None => return,
        },
    };
    let mut stage = Stage::new(ground, &mut random);
    let mut told = Vec::new();
    for _ in 0..STEPS {
        let step = stage.draw(plot, &mut random);
        told.push(format!("{step:?}"));
        let seen = stage.play(&step);
        if let Some(last) = told.last_mut() {
            last.push_str(&stage.take_notes());
        }
        if let Err(broken) = seen {
            let seed = format!("CI_CREDS_TEST_SEED={seed} CI_CREDS_TEST_ROUNDS=1");
            panic!("{plot:?} {on:?}: {broken}\n{seed}\n{}\n{}", stage.describe(), told.join("\n"));
        }
    }
    if plot == Plot::Calm {
        stage.count_what_was_made().unwrap_or_else(|broken| panic!("{broken}\nseed {seed}\n{}", told.join("\n")));
    }
}

fn play_all(plot: Plot, on: Where, stories: u64) {
    if tool::find("faketime").is_none() {
        return;
    }
    let first = number("CI_CREDS_TEST_SEED").unwrap_or(1);
    let stories = number("CI_CREDS_TEST_ROUNDS").unwrap_or(stories);
    // From the last one on: cases are taken from the end.
    parallel::each_at_once(AT_ONCE, (first..first + stories).rev().collect(), |seed| play(seed, plot, on));
}

// check: 4, 5, 16, 17
#[test]
fn whatever_happens_nothing_is_spent_twice_left_over_mixed_up_or_stuck() {
    play_all(Plot::Wild, Where::Double, STORIES);
}

// check: 7
#[test]
fn where_nothing_goes_wrong_a_story_costs_one_credential_for_each_identity_and_request() {
    play_all(Plot::Calm, Where::Double, 2);
}

// check: 4, 5, 7, 16
#[test]
fn what_holds_in_every_story_holds_on_a_real_server_too() {
    play_all(Plot::Wild, Where::Real, REAL_STORIES);
    play_all(Plot::Calm, Where::Real, 1);
}
