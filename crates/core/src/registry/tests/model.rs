//! The registry against a list that is searched from front to back.

use std::collections::BTreeMap;

use super::*;

struct Row {
    id: AgentId,
    card: Handle,
    state: AgentState,
    tags: Vec<Tag>,
}

/// Agents in the order of their ids, and every stay that there ever was, ended ones too.
#[derive(Default)]
struct Model {
    rows: Vec<Row>,
    given: Vec<Handle>,
    picked: BTreeMap<Tag, AgentId>,
}

impl Model {
    fn row(&mut self, card: &Handle) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| Arc::ptr_eq(&row.card, card))
    }

    fn members(&self, tag: &Tag) -> Vec<&Row> {
        self.rows.iter().filter(|row| row.tags.contains(tag)).collect()
    }

    /// A tag without members has no turn.
    fn forget_turns(&mut self) {
        let rows = &self.rows;
        self.picked.retain(|tag, _| rows.iter().any(|row| row.tags.contains(tag)));
    }

    fn pick(&mut self, tag: &Tag) -> Option<AgentId> {
        let members = self.members(tag);
        let n_live = members.iter().filter(|row| row.state == AgentState::Live).count();
        let is_ready = |row: &&&Row| n_live == 0 || row.state == AgentState::Live;
        let ready: Vec<_> = members.iter().filter(is_ready).collect();
        let last = self.picked.get(tag);
        let next = ready.iter().find(|row| Some(&row.id) > last).or(ready.first())?;
        let id = next.id.clone();
        self.picked.insert(tag.clone(), id.clone());
        Some(id)
    }
}

/// `Left` for every tag of the row, in order; the row has none afterwards.
fn left_all(row: &mut Row) -> Vec<Change> {
    row.tags.sort();
    let id = &row.id;
    row.tags.drain(..).map(|tag| Change::Left { id: id.clone(), tag }).collect()
}

fn register(registry: &mut Book, model: &mut Model, id: &AgentId) -> bool {
    match registry.register(id, ' ') {
        Ok((card, _)) => {
            let is_free = model.rows.iter().all(|row| row.id != *id);
            model.given.push(card.clone());
            let state = AgentState::Live;
            model.rows.push(Row { id: id.clone(), card, state, tags: vec![] });
            model.rows.sort_by(|a, b| a.id.cmp(&b.id));
            is_free
        }
        Err(RegisterError::Taken { id, state }) => {
            model.rows.iter().any(|row| row.id == id && row.state == state)
        }
        Err(RegisterError::Full { .. }) => false,
    }
}

fn end(registry: &mut Book, model: &mut Model, card: &Handle) -> bool {
    let expected = model.row(card).map(|row| {
        let mut changes = left_all(row);
        changes.push(Change::Ended { id: card.id.clone() });
        changes
    });
    model.rows.retain(|row| !Arc::ptr_eq(&row.card, card));
    registry.ended(card) == expected
}

fn crash(registry: &mut Book, model: &mut Model, card: &Handle) -> bool {
    let expected = model.row(card).map_or(vec![], |row| {
        let mut changes = left_all(row);
        if row.state == AgentState::Live {
            changes.push(Change::Restarting { id: card.id.clone() });
        }
        row.state = AgentState::Restarting;
        changes
    });
    registry.restarting(card) == expected
}

fn restart(registry: &mut Book, model: &mut Model, card: &Handle) -> bool {
    let row = model.row(card).filter(|row| row.state == AgentState::Restarting);
    let is_change = row.map(|row| row.state = AgentState::Live).is_some();
    registry.restarted(card).is_some() == is_change
}

fn join(registry: &mut Book, model: &mut Model, card: &Handle, tag: &Tag) -> bool {
    let Some(row) = model.row(card) else { return registry.join(card, tag).is_err() };
    let is_new = !row.tags.contains(tag);
    row.tags.extend(is_new.then(|| tag.clone()));
    let expected = is_new.then(|| Change::Joined { id: card.id.clone(), tag: tag.clone() });
    registry.join(card, tag) == Ok(expected)
}

fn leave(registry: &mut Book, model: &mut Model, card: &Handle, tag: &Tag) -> bool {
    let Some(row) = model.row(card) else { return registry.leave(card, tag).is_none() };
    let had_it = row.tags.contains(tag);
    row.tags.retain(|own| own != tag);
    let expected = had_it.then(|| Change::Left { id: card.id.clone(), tag: tag.clone() });
    registry.leave(card, tag) == expected
}

/// One random call on both. Whether they agreed.
fn step(rng: &mut Rng, registry: &mut Book, model: &mut Model) -> bool {
    let tag = [group("x"), group("y"), Tag::capability("x").unwrap()][rng.below(3)].clone();
    let new = agent(["a", "b", "c", "d", "e", "f"][rng.below(6)]);
    // Mostly the newest stays: the ended ones among them test late news.
    let back = rng.below(8).min(model.given.len().saturating_sub(1));
    let given = model.given.len().checked_sub(back + 1).map(|at| model.given[at].clone());
    let agreed = match (rng.below(10), given) {
        (0 | 1, _) | (_, None) => register(registry, model, &new),
        (2, Some(card)) => end(registry, model, &card),
        (3, Some(card)) => crash(registry, model, &card),
        (4, Some(card)) => restart(registry, model, &card),
        (5 | 6, Some(card)) => join(registry, model, &card, &tag),
        (7, Some(card)) => leave(registry, model, &card, &tag),
        (_, Some(_)) => registry.groups.pick(&tag).map(|card| card.id.clone()) == model.pick(&tag),
    };
    model.forget_turns();
    let rows = model.rows.iter().map(|row| (&row.id, row.state, Arc::as_ptr(&row.card)));
    let same_list =
        registry.registry.list().map(|e| (e.id, e.state, Arc::as_ptr(e.handle))).eq(rows);
    let members = model.members(&tag);
    let same_members =
        registry.groups.members(&tag).map(|card| &card.id).eq(members.iter().map(|row| &row.id));
    agreed && same_list && same_members
}

#[test]
fn g05_registry_agrees_with_a_naive_list_over_many_steps() {
    let name = "g05_registry_agrees_with_a_naive_list_over_many_steps";
    let first_seed = seeded::seed();
    for seed in (0..200).map(|n| first_seed.wrapping_add(n)) {
        let mut rng = Rng(seed);
        let (mut registry, mut model) = (Book::with_agents_max(AGENTS_MAX), Model::default());
        for n in 0..500 {
            let agreed = step(&mut rng, &mut registry, &mut model);
            assert!(agreed, "step {n} differs\nrepeat with: {}", seeded::repeat(name, seed));
        }
    }
}
