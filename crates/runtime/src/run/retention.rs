//! How long what nobody needs any more is kept.

use std::time::Duration;

use ggml_agent_core::store::{StoreError, StoreRef, Write};

use super::shelf::Runs;

/// Dead letters that are read at once: their payloads come with them, up to 1 MiB each.
const PAGE_LEN: usize = 16;

/// How long a store keeps what is done with: runs that are over, and dead letters. `None` keeps it for ever.
///
/// Everything else is bounded by itself: mailboxes by their bounds, journals by snapshots, ids by their
/// window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Runs that are completed or cancelled, since they were. One that failed is not over: it can go on.
    pub runs_for: Option<Duration>,
    /// Dead letters, since their messages were made.
    pub dead_letters_for: Option<Duration>,
    /// Most dead letters; the newest are kept.
    pub dead_letters_max: Option<u64>,
}

/// What a [`Retention`] does not keep.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expired {
    /// Names of runs.
    pub runs: Vec<String>,
    /// Numbers of dead letters, in order.
    pub dead_letters: Vec<u64>,
}

impl Retention {
    /// What is not kept any more at `now_ms` (milliseconds since the Unix epoch, UTC). Nothing is changed.
    ///
    /// # Errors
    /// That of the store. What cannot be read is kept.
    pub async fn expired(&self, store: &StoreRef, now_ms: u64) -> Result<Expired, StoreError> {
        let mut expired = Expired::default();
        if let Some(time) = self.runs_for {
            for run in Runs::of(store).list().await? {
                if let Ok(record) = run.record
                    && record.status.is_over()
                    && is_past(record.latest_ms, time, now_ms)
                {
                    expired.runs.push(run.name);
                }
            }
        }
        if self.dead_letters_for.is_none() && self.dead_letters_max.is_none() {
            return Ok(expired);
        }
        let (mut kept, mut after) = (Vec::new(), 0);
        loop {
            let page = store.dead_letters(after, PAGE_LEN).await?;
            let Some(last) = page.last() else { break };
            after = last.number;
            for letter in page {
                let made_ms = letter.envelope.timestamp_ms;
                match self.dead_letters_for {
                    Some(time) if is_past(made_ms, time, now_ms) => {
                        expired.dead_letters.push(letter.number);
                    }
                    _ => kept.push(letter.number),
                }
            }
        }
        let most = self.dead_letters_max.and_then(|most| usize::try_from(most).ok());
        let n_more = kept.len().saturating_sub(most.unwrap_or(usize::MAX));
        expired.dead_letters.extend(kept.drain(..n_more));
        expired.dead_letters.sort_unstable();
        Ok(expired)
    }

    /// Forgets what is not kept any more at `now_ms`, and says what that was. What somebody else forgot
    /// meanwhile is not in the answer.
    ///
    /// # Errors
    /// That of the store; what came before it is forgotten.
    ///
    /// # Cancel safety
    /// What was begun happens; the next call goes on.
    pub async fn apply(&self, store: &StoreRef, now_ms: u64) -> Result<Expired, StoreError> {
        let Expired { runs, dead_letters } = self.expired(store, now_ms).await?;
        let mut gone = Expired::default();
        for name in runs {
            if Runs::of(store).remove(&name).await? {
                gone.runs.push(name);
            }
        }
        for number in dead_letters {
            match store.settle(Write::Discard { number }).await {
                Ok(()) => gone.dead_letters.push(number),
                Err(StoreError::UnknownDeadLetter { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(gone)
    }
}

fn is_past(since_ms: u64, time: Duration, now_ms: u64) -> bool {
    u128::from(since_ms) + time.as_millis() <= u128::from(now_ms)
}
