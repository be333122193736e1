//! `ggml-agent deadletters ls`.

use crate::cmd::result;
use crate::failure::Failure;
use crate::moment;
use crate::output::{Screen, plain};
use crate::state::State;

use super::{each, show};

pub(super) fn run(state: &State, screen: &mut Screen) -> Result<(), Failure> {
    let mut n = 0;
    each(state, |letter| {
        if n == 0 {
            screen.note(&row(&["NUMBER", "SENT", "TRIES", "TO", "REASON"]));
        }
        n += 1;
        let text = row(&[
            &letter.number.to_string(),
            &moment::say(letter.envelope.timestamp_ms),
            &letter.attempts.to_string(),
            letter.envelope.to.as_str(),
            &plain(&letter.reason),
        ]);
        screen.line(&show::headers(&letter, result("deadletter", text)));
    })?;
    let text = match n {
        0 => "no dead letters".to_owned(),
        1 => "1 dead letter".to_owned(),
        n => format!("{n} dead letters"),
    };
    screen.line(&result("deadletters", text).with("n", n));
    Ok(())
}

fn row([number, sent, tries, to, reason]: &[&str; 5]) -> String {
    format!("{number:>6}  {sent:<20}  {tries:>5}  {to:<20}  {reason}")
}
