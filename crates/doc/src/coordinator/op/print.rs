//! What a command says, in 64 bits: enough to notice that a name was used for something else by mistake.

use super::{Command, OnStale, Op};
use crate::text::{Anchor, Side};

/// FNV-1a: kept with the document, so it must not depend on the release or the machine as `std`'s may.
struct Print(u64);

impl Print {
    fn byte(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }

    fn number(&mut self, number: u64) {
        number.to_le_bytes().into_iter().for_each(|byte| self.byte(byte));
    }

    fn len(&mut self, len: usize) {
        self.number(len as u64);
    }

    fn text(&mut self, text: &str) {
        self.len(text.len());
        text.bytes().for_each(|byte| self.byte(byte));
    }

    fn optional(&mut self, number: Option<u64>) {
        self.byte(u8::from(number.is_some()));
        self.number(number.unwrap_or(0));
    }

    fn anchor(&mut self, anchor: &Anchor) {
        match anchor {
            Anchor::Start => self.byte(0),
            Anchor::End => self.byte(1),
            Anchor::Heading => self.byte(2),
            Anchor::Quote { text, nth } => {
                self.byte(3);
                self.text(text);
                self.optional(nth.map(|nth| nth as u64));
            }
        }
    }

    fn op(&mut self, op: &Op) {
        match op {
            Op::StrReplace { old, new, expect } => {
                self.byte(0);
                self.text(old);
                self.text(new);
                self.len(*expect);
            }
            Op::Append { text } => {
                self.byte(1);
                self.text(text);
            }
            Op::Insert { anchor, side, text } => {
                self.byte(2);
                self.anchor(anchor);
                self.byte(u8::from(*side == Side::After));
                self.text(text);
            }
            Op::Replace { text, on_stale } => {
                self.byte(3);
                self.text(text);
                self.byte(match on_stale {
                    OnStale::Refuse => 0,
                    OnStale::Merge => 1,
                    OnStale::Suggest => 2,
                });
            }
            Op::Splice { changes, rebase } => {
                self.byte(4);
                self.byte(u8::from(*rebase));
                for change in changes {
                    self.len(change.at);
                    self.len(change.del);
                    self.text(&change.insert);
                }
            }
        }
    }
}

/// All that they say except their names and tokens: who repeats a command may have lost and regained the lock.
pub(super) fn content_of(commands: &[Command]) -> u64 {
    let mut print = Print(0xcbf2_9ce4_8422_2325);
    for Command { op_id: _, section, token: _, base, op } in commands {
        print.number(u64::from(section.number()));
        print.optional(*base);
        print.op(op);
    }
    print.0
}
