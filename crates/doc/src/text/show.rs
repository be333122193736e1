//! What was changed, to be read by people and models.

use super::diff::{Span, spans};
use super::{Changes, ceil, floor};

/// How much of what stayed is shown on each side of a change, in bytes.
const AROUND: usize = 40;

/// Changes in words: `[-what went-]` and `{+what came+}`, with some words around; `…` stands for what stayed
/// and is not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The changes that have room, whole; the first always, cut if it must be.
    pub text: String,
    /// How many changes are shown.
    pub n_shown: usize,
    /// How many there are.
    pub n: usize,
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)?;
        match self.n - self.n_shown {
            0 => Ok(()),
            left => write!(f, " (and {left} changes more)"),
        }
    }
}

/// Shows `changes` of `old` in at most about `bytes_max` bytes; those that do not fit `old` are left out.
///
/// # Example
/// ```
/// use ggml_agent_doc::text::{Changes, show};
/// assert_eq!(show("The cat sat.", &Changes::one(4, 3, "dog"), 100).text, "The [-cat-]{+dog+} sat.");
/// ```
#[must_use]
pub fn show(old: &str, changes: &Changes, bytes_max: usize) -> Shown {
    let mut shown = Shown { text: String::new(), n_shown: 0, n: changes.as_slice().len() };
    let mut piece = String::new();
    let list: Vec<Span<'_>> = spans(old, changes).collect();
    for (at, span) in list.iter().enumerate() {
        match span {
            Span::Keep(text) => {
                // The beginning of what follows a change belongs to it.
                if at > 0 && !push(&mut shown, &mut piece, bytes_max) {
                    return shown;
                }
                let head = if at == 0 { 0 } else { AROUND };
                let tail = if at + 1 == list.len() { 0 } else { AROUND };
                shown.text.push_str(&ends(text, head, tail));
            }
            Span::Delete(text) => piece.extend(["[-", text, "-]"]),
            Span::Insert(text) => piece.extend(["{+", text, "+}"]),
        }
    }
    push(&mut shown, &mut piece, bytes_max);
    shown
}

/// Adds a change; false if it has no room.
fn push(shown: &mut Shown, piece: &mut String, bytes_max: usize) -> bool {
    if piece.is_empty() {
        return true;
    }
    let room = bytes_max.saturating_sub(shown.text.len());
    if piece.len() > room && shown.n_shown > 0 {
        return false;
    }
    if piece.len() > room {
        piece.truncate(floor(piece, room));
        piece.push('…');
    }
    shown.text.push_str(piece);
    shown.n_shown += 1;
    piece.clear();
    true
}

/// About so much of a text's beginning and of its end.
fn ends(text: &str, head: usize, tail: usize) -> String {
    let (head, tail) = (floor(text, head), ceil(text, text.len().saturating_sub(tail)));
    if head >= tail { text.to_owned() } else { [&text[..head], "…", &text[tail..]].concat() }
}

#[cfg(test)]
mod tests;
