//! Tokens: texts that nobody guesses, and that no log has.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::limits::LINKS_MAX;

/// A secret of 256 bits, as 64 hexadecimal digits. It is never shown by `Debug`.
#[derive(Clone)]
pub struct Secret(Box<str>);

impl Secret {
    /// The secret made of these random bytes.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(random.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The text, to be handed to who may know it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `text` is this secret. The time that it takes says nothing about where they differ.
    pub(super) fn is(&self, text: &str) -> bool {
        // Hashes compare in constant time.
        blake3::hash(self.0.as_bytes()) == blake3::hash(text.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// One-time links that were given and not opened.
#[derive(Debug, Default)]
pub(super) struct Links(Mutex<VecDeque<Secret>>);

impl Links {
    pub(super) fn add(&self, ticket: Secret) {
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tickets.len() >= LINKS_MAX {
            tickets.pop_front();
        }
        tickets.push_back(ticket);
    }

    /// Whether there was such a ticket; it is gone now.
    pub(super) fn take(&self, text: &str) -> bool {
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = tickets.len();
        tickets.retain(|ticket| !ticket.is(text));
        tickets.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_once_and_the_oldest_goes_when_there_are_too_many() {
        let secret = |n: usize| Secret::new([u8::try_from(n).unwrap(); 32]);
        let links = Links::default();
        for n in 0..=LINKS_MAX {
            links.add(secret(n));
        }
        assert!(!links.take(secret(0).expose()), "the oldest was forgotten");
        assert!(links.take(secret(1).expose()));
        assert!(!links.take(secret(1).expose()), "once");
        assert!(!links.take(&secret(2).expose()[1..]), "a part of a ticket is none");
        assert!(!format!("{links:?}").contains("02"), "no ticket is shown");
    }
}
