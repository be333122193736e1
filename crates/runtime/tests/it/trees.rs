//! In which order agents start that others make: by the branch, and nobody waits for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ggml_agent::{Agent, ChildSpec, Context, Report, System};

use crate::support::until;

const CHILDREN: usize = 10;

/// Makes its children when it starts, and ends.
struct Branch {
    id: String,
    depth: u32,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Made and not over.
    alive: AtomicUsize,
    alive_max: AtomicUsize,
    leaves: AtomicUsize,
}

fn branch(id: String, depth: u32, counts: &Arc<Counts>) -> ChildSpec<Branch> {
    let alive = counts.alive.fetch_add(1, Ordering::Relaxed) + 1;
    counts.alive_max.fetch_max(alive, Ordering::Relaxed);
    let counts = counts.clone();
    ChildSpec::new(id.clone(), move || Branch { id: id.clone(), depth, counts: counts.clone() })
}

impl Agent for Branch {
    type Msg = ();
    type Error = Report;

    async fn on_start(&mut self, ctx: &mut Context<Self>) -> Result<(), Report> {
        if self.depth == 0 {
            self.counts.leaves.fetch_add(1, Ordering::Relaxed);
        } else {
            for n in 0..CHILDREN {
                let id = format!("{}-{n}", self.id);
                ctx.system().spawn(branch(id, self.depth - 1, &self.counts)).unwrap();
            }
        }
        ctx.stop();
        Ok(())
    }

    async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), Report> {
        Ok(())
    }
}

impl Drop for Branch {
    fn drop(&mut self) {
        self.counts.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_tree_of_agents_needs_memory_for_its_branches_and_not_for_all_its_leaves() {
    const DEPTH: u32 = 4;
    let system = System::new();
    let counts = Arc::new(Counts::default());
    let leaves = CHILDREN.pow(DEPTH);
    system.spawn(branch("tree".to_owned(), DEPTH, &counts)).unwrap();
    until("all leaves", || counts.leaves.load(Ordering::Relaxed) == leaves).await;
    until("all ends", || counts.alive.load(Ordering::Relaxed) == 0).await;
    // Some starts come out of turn, so that none waits for ever; each opens another branch.
    let alive_max = counts.alive_max.load(Ordering::Relaxed);
    assert!(alive_max < leaves / 10, "{alive_max} of {leaves} leaves at once");
}

const LINKS_MAX: usize = 10_000;

/// Each makes the next one, until the elder has started.
struct Link {
    n: usize,
    elder: Arc<AtomicBool>,
    /// The number of the last one, once it is there.
    last: Arc<AtomicUsize>,
}

fn link(n: usize, elder: &Arc<AtomicBool>, last: &Arc<AtomicUsize>) -> ChildSpec<Link> {
    let (elder, last) = (elder.clone(), last.clone());
    ChildSpec::new(format!("link-{n}"), move || Link {
        n,
        elder: elder.clone(),
        last: last.clone(),
    })
}

impl Agent for Link {
    type Msg = ();
    type Error = Report;

    async fn on_start(&mut self, ctx: &mut Context<Self>) -> Result<(), Report> {
        if self.n == 1 {
            let seen = self.elder.clone();
            let elder = ChildSpec::new("elder", move || Elder { seen: seen.clone() });
            ctx.system().spawn(elder).unwrap();
        }
        if self.elder.load(Ordering::Relaxed) || self.n == LINKS_MAX {
            self.last.store(self.n, Ordering::Relaxed);
        } else {
            ctx.system().spawn(link(self.n + 1, &self.elder, &self.last)).unwrap();
        }
        ctx.stop();
        Ok(())
    }

    async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), Report> {
        Ok(())
    }
}

struct Elder {
    seen: Arc<AtomicBool>,
}

impl Agent for Elder {
    type Msg = ();
    type Error = Report;

    async fn on_start(&mut self, _: &mut Context<Self>) -> Result<(), Report> {
        self.seen.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), Report> {
        Ok(())
    }
}

#[tokio::test]
async fn an_agent_starts_though_younger_ones_keep_coming() {
    let system = System::new();
    let (elder, last) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    system.spawn(link(1, &elder, &last)).unwrap();
    until("the end of the chain", || last.load(Ordering::Relaxed) > 0).await;
    assert!(last.load(Ordering::Relaxed) < LINKS_MAX, "it waited for all that came after it");
}
