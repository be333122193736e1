//! The registry against a list that is searched from front to back.

use super::*;

struct Row {
    id: AgentId,
    registration: Registration,
    state: AgentState,
    tags: Vec<Tag>,
}

/// Agents in the order of their ids, and every registration ever given, ended ones too.
#[derive(Default)]
struct Model {
    rows: Vec<Row>,
    given: Vec<(AgentId, Registration)>,
    picked: BTreeMap<Tag, AgentId>,
}

impl Model {
    fn row(&mut self, id: &AgentId, registration: Registration) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.id == *id && row.registration == registration)
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

fn register(registry: &mut Registry<u64>, model: &mut Model, id: &AgentId) -> bool {
    match registry.register(id, 0) {
        Ok((registration, _)) => {
            let is_free = model.rows.iter().all(|row| row.id != *id);
            model.given.push((id.clone(), registration));
            let state = AgentState::Live;
            model.rows.push(Row { id: id.clone(), registration, state, tags: vec![] });
            model.rows.sort_by(|a, b| a.id.cmp(&b.id));
            is_free
        }
        Err(RegisterError::Taken { id, state }) => {
            model.rows.iter().any(|row| row.id == id && row.state == state)
        }
        Err(RegisterError::Full { .. }) => false,
    }
}

fn end(registry: &mut Registry<u64>, model: &mut Model, id: &AgentId, r: Registration) -> bool {
    let expected = model.row(id, r).map(|row| {
        let mut changes = left_all(row);
        changes.push(Change::Ended { id: id.clone() });
        changes
    });
    model.rows.retain(|row| !(row.id == *id && row.registration == r));
    registry.ended(id, r).map(|removed| removed.changes) == expected
}

fn crash(registry: &mut Registry<u64>, model: &mut Model, id: &AgentId, r: Registration) -> bool {
    let expected = model.row(id, r).map_or(vec![], |row| {
        let mut changes = left_all(row);
        if row.state == AgentState::Live {
            changes.push(Change::Restarting { id: id.clone() });
        }
        row.state = AgentState::Restarting;
        changes
    });
    registry.restarting(id, r) == expected
}

fn restart(registry: &mut Registry<u64>, model: &mut Model, id: &AgentId, r: Registration) -> bool {
    let row = model.row(id, r).filter(|row| row.state == AgentState::Restarting);
    let is_change = row.map(|row| row.state = AgentState::Live).is_some();
    registry.restarted(id, r).is_some() == is_change
}

fn join(
    registry: &mut Registry<u64>,
    model: &mut Model,
    id: &AgentId,
    r: Registration,
    tag: &Tag,
) -> bool {
    let Some(row) = model.row(id, r) else { return registry.join(id, r, tag).is_err() };
    let is_new = !row.tags.contains(tag);
    row.tags.extend(is_new.then(|| tag.clone()));
    let expected = is_new.then(|| Change::Joined { id: id.clone(), tag: tag.clone() });
    registry.join(id, r, tag) == Ok(expected)
}

fn leave(
    registry: &mut Registry<u64>,
    model: &mut Model,
    id: &AgentId,
    r: Registration,
    tag: &Tag,
) -> bool {
    let Some(row) = model.row(id, r) else { return registry.leave(id, r, tag).is_none() };
    let had_it = row.tags.contains(tag);
    row.tags.retain(|own| own != tag);
    let expected = had_it.then(|| Change::Left { id: id.clone(), tag: tag.clone() });
    registry.leave(id, r, tag) == expected
}

/// One random call on both. Whether they agreed.
fn step(rng: &mut Rng, registry: &mut Registry<u64>, model: &mut Model) -> bool {
    let tag = [group("x"), group("y"), Tag::capability("x").unwrap()][rng.below(3)].clone();
    let new = agent(["a", "b", "c", "d", "e", "f"][rng.below(6)]);
    // Mostly the newest registrations: the ended ones among them test late news.
    let back = rng.below(8).min(model.given.len().saturating_sub(1));
    let given = model.given.len().checked_sub(back + 1).map(|at| model.given[at].clone());
    let agreed = match (rng.below(10), given) {
        (0 | 1, _) | (_, None) => register(registry, model, &new),
        (2, Some((id, r))) => end(registry, model, &id, r),
        (3, Some((id, r))) => crash(registry, model, &id, r),
        (4, Some((id, r))) => restart(registry, model, &id, r),
        (5 | 6, Some((id, r))) => join(registry, model, &id, r, &tag),
        (7, Some((id, r))) => leave(registry, model, &id, r, &tag),
        (_, Some(_)) => registry.pick(&tag).map(|entry| entry.id.clone()) == model.pick(&tag),
    };
    model.forget_turns();
    let rows = model.rows.iter().map(|row| (&row.id, row.state, row.registration));
    let same_list = registry.list().map(|e| (e.id, e.state, e.registration)).eq(rows);
    let members = model.members(&tag);
    let same_members = registry.members(&tag).map(|e| e.id).eq(members.iter().map(|row| &row.id));
    agreed && same_list && same_members
}

#[test]
fn g05_registry_agrees_with_a_naive_list_over_many_steps() {
    let name = "g05_registry_agrees_with_a_naive_list_over_many_steps";
    let first_seed = seeded::seed();
    for seed in (0..200).map(|n| first_seed.wrapping_add(n)) {
        let mut rng = Rng(seed);
        let (mut registry, mut model) = (Registry::new(), Model::default());
        for n in 0..500 {
            let agreed = step(&mut rng, &mut registry, &mut model);
            assert!(agreed, "step {n} differs\nrepeat with: {}", seeded::repeat(name, seed));
        }
    }
}
