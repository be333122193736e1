//! Deliveries to many subscribers: what each costs, and when the last one has it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ggml_agent::{Report, System};
use ggml_agent_core::lease::OnBusy;
use ggml_agent_core::lease::Token;
use ggml_agent_doc::{Client, DocumentRef, Edit, Lock, SectionId};

use super::house::{Seen, document, followers, id, section, writers};
use super::{Rows, Scale, time};
use crate::clock::{median, per_second, percentile, process_cpu, us_each};
use crate::table::short;

/// Sections of the document, and characters of each.
const SECTIONS: usize = 16;
const LEN: usize = 400;
const LEASE: Duration = Duration::from_secs(600);
/// Edits that the last subscriber may be behind in the flood: no mailbox runs over, and no one waits long.
const AHEAD_MAX: usize = 16;
/// Longest wait for the last subscriber.
const PATIENCE: Duration = Duration::from_secs(30);

struct Publisher {
    document: DocumentRef,
    client: Client,
    section: SectionId,
    token: Token,
}

impl Publisher {
    async fn edit(&self, version: usize) -> Result<u64, Report> {
        let edit = Edit::locked(self.section, self.token, section(1, LEN, version));
        Ok(self.document.edit(self.client.holder(), edit).await?.seq)
    }
}

pub(super) async fn measure(scale: &Scale) -> Result<Rows, Report> {
    let n = scale.n_subscribers;
    let n_edits = scale.n_flood / n;
    let (mut rates, mut cpus, mut lasts, mut n_resyncs) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..scale.rounds {
        let system = System::new();
        let text = document(SECTIONS, LEN)?;
        let first = text.sections()[0].id();
        let document = DocumentRef::start(&system, &id("doc"), text).await?;
        let seen = Seen::new(n, n_edits + scale.n_ticks);
        let _followers = followers(&system, &document, &seen).await?;
        let client = writers(&system, 1).await?.remove(0);
        let lock = Lock::one(first, LEASE, OnBusy::Deny);
        let token = document.lock(&client, lock).await?[0].token;
        let publisher = Publisher { document, client, section: first, token };
        let (began, cpu) = (Instant::now(), process_cpu());
        flood(&publisher, &seen, n_edits).await?;
        let (wall, cpu) = (began.elapsed(), process_cpu().saturating_sub(cpu));
        let n_updates = seen.n_updates.load(Ordering::Relaxed);
        rates.push(per_second(n_updates, wall));
        cpus.push(us_each(cpu, n_updates));
        lasts.extend(ticks(&publisher, &seen, n_edits, scale.n_ticks).await?);
        n_resyncs += seen.n_resyncs.load(Ordering::Relaxed);
        system.shutdown(Scale::SHUTDOWN).await;
    }
    lasts.sort();
    let (rate, cpu) = (short(median(rates)), short(median(cpus)));
    let last = |percent| time(percentile(&lasts, percent));
    Ok(vec![
        (format!("deliveries, {n} subscribers"), format!("{rate}/s, {cpu} us CPU"), "<= 10 us CPU"),
        (
            format!("last of {n} subscribers, {} edits/s", 1_000 / Scale::TICK.as_millis()),
            format!("p50 {}, p99 {}", last(50), last(99)),
            "p99 <= 100 ms",
        ),
        ("of these, told to resynchronise".to_owned(), n_resyncs.to_string(), "0"),
    ])
}

/// As fast as it goes, with the last subscriber never far behind.
async fn flood(publisher: &Publisher, seen: &Arc<Seen>, n_edits: usize) -> Result<(), Report> {
    for version in 0..n_edits {
        let seq = publisher.edit(version).await?;
        if let Some(before) = seq.checked_sub(u64::try_from(AHEAD_MAX)?).filter(|seq| *seq > 0) {
            last_of(seen, before).await?;
        }
    }
    last_of(seen, u64::try_from(n_edits)?).await?;
    Ok(())
}

/// One edit per tick; answers how long each took to the last subscriber.
async fn ticks(
    publisher: &Publisher,
    seen: &Arc<Seen>,
    n_before: usize,
    n_ticks: usize,
) -> Result<Vec<Duration>, Report> {
    let mut ticks = tokio::time::interval(Scale::TICK);
    let mut sent = Vec::with_capacity(n_ticks);
    for version in 0..n_ticks {
        ticks.tick().await;
        let at = Instant::now();
        sent.push((publisher.edit(n_before + version).await?, at));
    }
    let mut lasts = Vec::with_capacity(n_ticks);
    for (seq, at) in sent {
        lasts.push(last_of(seen, seq).await?.saturating_duration_since(at));
    }
    Ok(lasts)
}

/// When the last subscriber got edit `seq`; waits for it.
async fn last_of(seen: &Seen, seq: u64) -> Result<Instant, Report> {
    let began = Instant::now();
    loop {
        if let Some(at) = seen.last_at(seq) {
            return Ok(at);
        }
        if began.elapsed() > PATIENCE {
            return Err(Report::msg(
                "a subscriber did not get an edit: it was told to resynchronise",
            ));
        }
        // The subscribers run meanwhile; a timer would be coarser than what is measured.
        tokio::task::yield_now().await;
    }
}
