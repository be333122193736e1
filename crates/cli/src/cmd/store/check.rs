//! `ggml-agent store check`.

use ggml_agent_store::{Checked, Damage};

use crate::args::StateArgs;
use crate::cmd::result;
use crate::failure::{Code, Failure};
use crate::output::{Screen, Tone, plain};
use crate::state::{self, State};

pub(super) fn run(args: &StateArgs, screen: &mut Screen) -> Result<(), Failure> {
    let checked = match State::open_or_damage(args)? {
        Ok(state) => state.ask(state.sqlite.check())?,
        // Damaged as a whole: nothing in it can be looked at.
        Err(error) => {
            let damage = Damage { what: "the file".to_owned(), why: error.to_string() };
            say(&Checked { damaged: vec![damage], ..Checked::default() }, screen);
            return Err(state::refused(&error));
        }
    };
    say(&checked, screen);
    if checked.is_whole() {
        return Ok(());
    }
    Err(Failure::msg(Code::Failure, "the store is damaged")
        .next("what is not in the list can be used; keep a copy of the folder, then put a backup in its place"))
}

fn say(checked: &Checked, screen: &mut Screen) {
    let Checked { agents, records, damaged } = checked;
    for Damage { what, why } in damaged {
        let text = format!("damaged: {}: {}", plain(what), plain(why));
        let line = result("store.damage", text).tone(Tone::Bad);
        screen.line(&line.with("what", what.as_str()).with("why", why.as_str()));
    }
    let n_damaged = damaged.len();
    let (verdict, tone) = match n_damaged {
        0 => ("nothing is damaged".to_owned(), Tone::Good),
        n => (format!("{n} damaged"), Tone::Bad),
    };
    let text = format!("agents {agents}, records {records}: {verdict}");
    let line = result("store.checked", text).tone(tone).with("ok", n_damaged == 0);
    let line = line.with("agents", *agents).with("records", *records);
    screen.line(&line.with("damaged", n_damaged));
}
