//! Locks and edits: how many a second with many callers at once, and how long one caller waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ggml_agent::{Report, System};
use ggml_agent_core::lease::{OnBusy, Token};
use ggml_agent_doc::{Change, Client, DocumentRef, Edit, Lock, SectionId, Splices};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::house::{document, id, section, writers};
use super::{Rows, Scale, time};
use crate::clock::{median, per_second, percentile, process_cpu, us_each};
use crate::table::short;

/// Callers at once, each with a section of its own.
const CALLERS: usize = 64;
/// Characters of a section: a paragraph.
const LEN: usize = 400;
const LEASE: Duration = Duration::from_secs(60);

/// One caller.
#[derive(Clone)]
struct Caller {
    document: DocumentRef,
    client: Client,
    section: SectionId,
    nth: usize,
}

/// Calls of all callers together.
struct Rate {
    per_second: f64,
    cpu_us: f64,
    /// Of each call, sorted.
    waits: Vec<Duration>,
    /// How many callers waited for an answer at once, on average: the sum of the waits over the wall time.
    n_waiting: f64,
}

pub(super) async fn measure(scale: &Scale) -> Result<Rows, Report> {
    let (mut locks, mut splices, mut edits) = (Vec::new(), Vec::new(), Vec::new());
    let mut acks = Vec::new();
    for _ in 0..scale.rounds {
        let system = System::new();
        let text = document(CALLERS, LEN)?;
        let sections: Vec<SectionId> = text.sections().iter().map(|section| section.id()).collect();
        let document = DocumentRef::start(&system, &id("doc"), text).await?;
        let clients = writers(&system, CALLERS).await?;
        let callers: Vec<Caller> = clients
            .into_iter()
            .zip(sections)
            .enumerate()
            .map(|(nth, (client, section))| Caller {
                document: document.clone(),
                client,
                section,
                nth: nth + 1,
            })
            .collect();
        let each = scale.n_calls / CALLERS;
        locks.push(rate(&callers, 2 * each, move |caller| caller.lock(each)).await?);
        splices.push(rate(&callers, each, move |caller| caller.splice(each)).await?);
        edits.push(rate(&callers, each, move |caller| caller.edit(each)).await?);
        let alone = scale.n_calls / 10;
        acks.push(rate(&callers[..1], alone, move |caller| caller.splice(alone)).await?);
        system.shutdown(Scale::SHUTDOWN).await;
    }
    let of =
        |rates: &[Rate], value: &dyn Fn(&Rate) -> f64| median(rates.iter().map(value).collect());
    let both = |rates: &[Rate]| {
        let (rate, cpu) = (of(rates, &|r| r.per_second), of(rates, &|r| r.cpu_us));
        format!("{}/s, {} us CPU", short(rate), short(cpu))
    };
    let waits = |rates: &[Rate]| {
        let at = |percent| {
            let us = of(rates, &|r| percentile(&r.waits, percent).as_secs_f64() * 1e6);
            time(Duration::from_secs_f64(us / 1e6))
        };
        let n_waiting = of(rates, &|r| r.n_waiting);
        let mean = of(rates, &|r| r.n_waiting / r.per_second * 1e6);
        let mean = time(Duration::from_secs_f64(mean / 1e6));
        format!("p50 {}, p99 {}, mean {mean}, {} at once", at(50), at(99), short(n_waiting))
    };
    Ok(vec![
        (
            format!("locks and releases, {CALLERS} callers"),
            both(&locks),
            ">= 200,000/s, <= 2 us CPU",
        ),
        (
            format!("edits of one character under locks, {CALLERS} callers"),
            both(&splices),
            ">= 200,000/s, <= 2 us CPU",
        ),
        (format!("new texts of a section under locks, {CALLERS} callers"), both(&edits), "-"),
        (format!("edit to ack, {CALLERS} callers"), waits(&splices), "-"),
        ("edit to ack, one caller".to_owned(), waits(&acks), "-"),
    ])
}

/// Lets all callers do `work` at once; `n` is the number of calls of each.
async fn rate<W, F>(callers: &[Caller], n: usize, work: W) -> Result<Rate, Report>
where
    W: Fn(Caller) -> F,
    F: Future<Output = Result<Vec<Duration>, Report>> + Send + 'static,
{
    let (began, cpu) = (Instant::now(), process_cpu());
    let start = Arc::new(Barrier::new(callers.len()));
    let mut jobs = JoinSet::new();
    for caller in callers {
        let (start, work) = (Arc::clone(&start), work(caller.clone()));
        jobs.spawn(async move {
            start.wait().await;
            work.await
        });
    }
    let mut waits = Vec::new();
    while let Some(done) = jobs.join_next().await {
        waits.extend(done??);
    }
    let (wall, cpu) = (began.elapsed(), process_cpu().saturating_sub(cpu));
    let n_calls = n * callers.len();
    waits.sort();
    let waited: Duration = waits.iter().sum();
    Ok(Rate {
        per_second: per_second(n_calls, wall),
        cpu_us: us_each(cpu, n_calls),
        n_waiting: waited.as_secs_f64() / wall.as_secs_f64().max(1e-9),
        waits,
    })
}

impl Caller {
    async fn token(&self) -> Result<Token, Report> {
        let lock = Lock::one(self.section, LEASE, OnBusy::Deny);
        Ok(self.document.lock(&self.client, lock).await?[0].token)
    }

    async fn lock(self, n: usize) -> Result<Vec<Duration>, Report> {
        for _ in 0..n {
            let token = self.token().await?;
            self.document.release(&self.client, self.section, token).await?;
        }
        Ok(Vec::new())
    }

    /// Types at the end of its section, and takes back every other character.
    async fn splice(self, n: usize) -> Result<Vec<Duration>, Report> {
        let token = self.token().await?;
        let mut waits = Vec::with_capacity(n);
        let at = section(self.nth, LEN, 0).trim_end().len();
        for nth in 0..n {
            let (del, insert) = if nth % 2 == 0 { (0, "x".to_owned()) } else { (1, String::new()) };
            let began = Instant::now();
            let splices = Splices {
                section: self.section,
                token: Some(token),
                base: None,
                changes: [Change { at, del, insert }].into_iter().collect(),
            };
            self.document.splice(self.client.holder(), splices).await?;
            waits.push(began.elapsed());
        }
        self.document.release(&self.client, self.section, token).await?;
        Ok(waits)
    }

    async fn edit(self, n: usize) -> Result<Vec<Duration>, Report> {
        let token = self.token().await?;
        let mut waits = Vec::with_capacity(n);
        // Made before: to write a text is the caller's business.
        let texts = [1, 2].map(|version| section(self.nth, LEN, version));
        for text in texts.iter().cycle().take(n) {
            let began = Instant::now();
            let edit = Edit::locked(self.section, token, text.as_str());
            self.document.edit(self.client.holder(), edit).await?;
            waits.push(began.elapsed());
        }
        self.document.release(&self.client, self.section, token).await?;
        Ok(waits)
    }
}
