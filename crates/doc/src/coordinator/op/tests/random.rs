//! Random commands of several agents against strings, over restarts and repetitions.

use std::collections::BTreeMap;

use super::*;
use crate::soup::{Rng, each};

const WORDS: &[&str] = &["cat", "dog", "the ", "a. ", "\n", "cat cat", "aa", "é", "x\n\ny"];

/// What every command means, in the plainest words.
struct Model {
    /// Every version of each section.
    texts: Vec<Vec<String>>,
    /// Who did what under which name, and which update it made.
    done: BTreeMap<(String, String), (Vec<Command>, Done)>,
    seq: u64,
}

impl Model {
    /// The text after, made of `now`; `None` if it must be refused for what it says.
    fn meaning(&self, command: &Command, now: &str) -> Option<String> {
        let versions = &self.texts[command.section.index()];
        let current = versions.len() as u64 - 1;
        if command.base.is_some_and(|base| base > current) {
            return None;
        }
        let base = command.base.map(|base| &*versions[usize::try_from(base).unwrap()]);
        let is_stale = base.is_some_and(|base| base != now || command.base != Some(current));
        match &command.op {
            Op::StrReplace { old, new, expect } => {
                let starts = now.char_indices().map(|(at, _)| at);
                let found = starts.filter(|at| now[*at..].starts_with(&**old)).count();
                let is_whole = now.matches(&**old).count() == found;
                (found == *expect && is_whole).then(|| now.replace(&**old, new))
            }
            Op::Append { text } => Some(format!("{now}{text}")),
            Op::Insert { anchor, side, text } => {
                let place = match anchor {
                    Anchor::Start => 0..0,
                    Anchor::End => now.len()..now.len(),
                    Anchor::Heading if !["# ", "#\n"].iter().any(|h| now.starts_with(h)) => {
                        return None;
                    }
                    Anchor::Heading => 0..now.find('\n').map_or(now.len(), |at| at + 1),
                    Anchor::Quote { text, .. } => {
                        let at = now.find(&**text)?;
                        let is_only = now.rfind(&**text) == Some(at);
                        is_only.then(|| at..at + text.len())?
                    }
                };
                let at = if *side == Side::Before { place.start } else { place.end };
                Some([&now[..at], text, &now[at..]].concat())
            }
            Op::Replace { text, .. } if !is_stale => base.is_some().then(|| text.clone()),
            Op::Replace { text, on_stale: OnStale::Merge } => {
                crate::text::merge(base?, now, text).ok().map(|merged| merged.text)
            }
            // Which text it was moved over is not asked here.
            Op::Splice { changes, rebase: _ } if !is_stale => changes.apply(base?).ok(),
            Op::Replace { .. } | Op::Splice { .. } => None,
        }
    }

    /// The texts after all of them, if each has a meaning.
    fn after(&self, commands: &[Command]) -> Option<BTreeMap<usize, String>> {
        let mut after = BTreeMap::new();
        for command in commands {
            let index = command.section.index();
            let now = after.get(&index).or(self.texts[index].last())?;
            let next = self.meaning(command, now)?;
            after.insert(index, next);
        }
        after.retain(|index, text| Some(&*text) != self.texts[*index].last());
        Some(after)
    }
}

fn random_command(rng: &mut Rng, model: &Model) -> Command {
    let index = rng.below(model.texts.len());
    let versions = &model.texts[index];
    let words = |rng: &mut Rng, n: usize| -> String {
        (0..rng.below(n + 1)).map(|_| rng.pick(WORDS)).collect()
    };
    let current = versions.len() - 1;
    let base = if rng.below(3) == 0 { rng.below(current + 2) } else { current };
    let known = versions.get(base).unwrap_or(&versions[current]).clone();
    let op = match rng.below(6) {
        0 | 1 => str_replace(rng.pick(WORDS), &words(rng, 2), 1 + rng.below(2)),
        2 => append(&format!("{}\n", words(rng, 2))),
        3 => {
            let quote = Anchor::Quote { text: rng.pick(WORDS).into(), nth: None };
            let anchors = [Anchor::Start, Anchor::End, Anchor::Heading, quote];
            let side = if rng.below(2) == 0 { Side::Before } else { Side::After };
            let anchor = anchors[rng.below(4)].clone();
            Op::Insert { anchor, side, text: words(rng, 2) }
        }
        4 => replace(&known.replacen(rng.pick(WORDS), &words(rng, 2), 1), OnStale::Merge),
        _ => splice(rng.below(known.len() + 2), rng.below(3), &words(rng, 1), false),
    };
    let command = Command::new(SectionId::nth(index), op);
    if rng.below(4) > 0 { command.with_base(base as u64) } else { command }
}

#[test]
fn d14_d15_random_commands_do_what_strings_would() {
    let (mut n_done, mut n_repeats, mut n_batches) = (0, 0, 0);
    each(300, "d14_d15_random_commands", |rng| {
        let mut c = coordinator("# A\n\nthe cat sat.\n\n# B\n\nthe dog ran.\n\n# C\n\naaa\n");
        let texts = c.snapshot().sections.iter().map(|view| vec![view.text.to_string()]).collect();
        let mut model = Model { texts, done: BTreeMap::new(), seq: 0 };
        for _ in 0..60 {
            let who = rng.pick(&["one", "two"]);
            let name = format!("op-{}", rng.below(40));
            let mut commands: Vec<Command> =
                (0..1 + rng.below(2) * rng.below(4)).map(|_| random_command(rng, &model)).collect();
            let key = (who.to_owned(), name.clone());
            let before = model.done.get(&key).cloned();
            if let Some((said, _)) = before.as_ref().filter(|_| rng.below(4) > 0) {
                commands.clone_from(said);
            }
            commands[0].op_id = Some(op_id(&name));
            let answer = c.batch(&holder(who), &commands, NOW).answer;
            match (answer, before) {
                (answer, Some((said, done))) => {
                    let is_same = said == commands;
                    let expected = Done { is_repeat: true, ..done };
                    let reused = matches!(answer, Err(OpError::OpIdReused { .. }));
                    assert!(if is_same { answer == Ok(expected) } else { reused }, "{commands:?}");
                    n_repeats += usize::from(is_same);
                }
                // Borders of sections are asked for elsewhere.
                (Err(OpError::Edit(error)), None)
                    if !matches!(error, EditError::NoTokenAndNoBase) => {}
                (Err(error), None) => {
                    assert_eq!(model.after(&commands), None, "{error}");
                }
                (Ok(done), None) => {
                    let after = model.after(&commands);
                    let after =
                        after.unwrap_or_else(|| panic!("{commands:?} for {:?}", model.texts));
                    assert_eq!(done.is_unchanged(), after.is_empty());
                    n_batches += usize::from(after.len() > 1);
                    if !after.is_empty() {
                        model.seq += 1;
                        n_done += 1;
                        model.done.insert(key, (commands, done));
                    }
                    after.into_iter().for_each(|(index, text)| model.texts[index].push(text));
                }
            }
            assert_eq!(c.seq(), model.seq);
            for (view, versions) in c.snapshot().sections.iter().zip(&model.texts) {
                assert_eq!(
                    (view.text.clone(), view.version + 1),
                    (Text::from(&**versions.last().unwrap()), versions.len() as u64)
                );
            }
            if rng.below(10) == 0 {
                c = restarted(&c);
            }
        }
    });
    assert!(
        n_done > 3_000 && n_repeats > 500 && n_batches > 200,
        "{n_done} {n_repeats} {n_batches}"
    );
}
