//! Random writes and reads, compared with the tables step by step, with the store opened again in between.

mod maker;

use ggml_agent_core::Priority;
use ggml_agent_core::store::{Found, Level, Position, Read, StoreError, StoreRef, Tables};

use self::maker::Maker;
use super::{End, World};
use crate::rng::Rng;
use crate::store::block_on;

/// Writes of one seed.
const N_WRITES: usize = 250;

pub(super) fn agrees_with_the_tables(world: &mut dyn World, seed: u64) {
    let mut rng = Rng::new(seed);
    let mut maker = Maker::new();
    let mut model = Tables::with_dedupe_window(world.dedupe_ids_max());
    let mut store = world.fresh();
    let mut n_done = 0;
    while n_done < N_WRITES {
        // Several at once now and then: they happen in the order in which they are begun.
        let n_at_once = if rng.chance(30) { 1 + rng.below(6) } else { 1 };
        let mut begun = Vec::new();
        for _ in 0..n_at_once {
            let write = maker.write(&mut rng, &model);
            let expected = model.write(write.clone());
            begun.push((write.clone(), expected, store.write(write)));
        }
        n_done += begun.len();
        for (write, expected, answer) in begun {
            let answer = block_on(answer, || world.work());
            assert_eq!(without_words(answer), without_words(expected), "{write:#?}");
        }
        if rng.chance(10) {
            must_read_as(world, &store, &model, &mut rng);
        }
        if store.level() == Level::Durable && rng.chance(4) {
            let end = if rng.chance(50) { End::Close } else { End::Cut };
            store = world.reopen(store, end);
            must_read_as(world, &store, &model, &mut rng);
        }
    }
    must_read_as(world, &store, &model, &mut rng);
}

/// The words about a contradiction are the engine's own.
fn without_words<T>(answer: Result<T, StoreError>) -> Result<T, StoreError> {
    answer.map_err(|error| match error {
        StoreError::Malformed { agent, .. } => StoreError::Malformed { agent, why: "" },
        other => other,
    })
}

/// Reads everything, in pages of some size from some place, from both.
fn must_read_as(world: &mut dyn World, store: &StoreRef, model: &Tables, rng: &mut Rng) {
    let mut reads = Vec::new();
    let limit = if rng.chance(50) { usize::MAX } else { rng.below(5) };
    let after = if rng.chance(50) { 0 } else { rng.below(60) as u64 };
    for agent in maker::agents() {
        for lane in [Priority::High, Priority::Normal] {
            let (mailbox, after) = (agent.clone(), Position(after));
            reads.push(Read::Messages { mailbox, lane, after, limit });
        }
        reads.push(Read::Journal { agent: agent.clone(), after, limit });
        reads.push(Read::Agents { after: Some(agent), limit });
    }
    reads.push(Read::Agents { after: None, limit });
    reads.push(Read::DeadLetters { after, limit });
    for read in reads {
        let found: Result<Found, _> = block_on(store.read(read.clone()), || world.work());
        assert_eq!(found, model.read(&read), "{read:?}");
    }
}
