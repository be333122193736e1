//! One measurement, in this process.

use crate::framework::{Framework, MailboxKind};
use crate::frameworks::actix::Actix;
use crate::frameworks::beam;
use crate::frameworks::flume::{Flume, FlumeBounded};
use crate::frameworks::ggml_agent::GgmlAgent;
use crate::frameworks::kameo::Kameo;
use crate::frameworks::kanal::{Kanal, KanalBounded};
use crate::frameworks::ractor::Ractor;
use crate::frameworks::tokio_mpsc::{TokioMpsc, TokioMpscBounded};
use crate::frameworks::xtra::Xtra;
use crate::line::{Line, Outcome, Subject};
use crate::workload::Workload;
use crate::workloads;

/// What is to be measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) framework: Subject,
    pub(crate) workload: Workload,
    pub(crate) workers: usize,
    pub(crate) n: u64,
}

/// Measures it.
pub(crate) fn measure(case: Case) -> Line {
    // Panics are part of the restart workload; what else goes wrong is told by its message.
    if case.workload == Workload::Restart {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let bounded = matches!(MailboxKind::of(case.workload), MailboxKind::Bounded(_));
    let outcome = match case.framework {
        Subject::GgmlAgent => on::<GgmlAgent>(case),
        Subject::TokioMpsc if bounded => on::<TokioMpscBounded>(case),
        Subject::TokioMpsc => on::<TokioMpsc>(case),
        Subject::Kanal if bounded => on::<KanalBounded>(case),
        Subject::Kanal => on::<Kanal>(case),
        Subject::Flume if bounded => on::<FlumeBounded>(case),
        Subject::Flume => on::<Flume>(case),
        Subject::Actix if bounded => on::<Actix<true>>(case),
        Subject::Actix => on::<Actix<false>>(case),
        Subject::Ractor => on::<Ractor>(case),
        Subject::Kameo => on::<Kameo>(case),
        Subject::Xtra => on::<Xtra>(case),
        Subject::Beam => beam::measure(case),
    };
    let Case { framework, workload, workers, .. } = case;
    Line { framework, workload, workers, round: None, outcome }
}

fn on<F: Framework>(case: Case) -> Outcome {
    let Case { workload, workers, n, .. } = case;
    if let Some(reason) = F::not_applicable(workload) {
        return Outcome::NotApplicable { not_applicable: reason.to_owned() };
    }
    let measured = F::run(workers, MailboxKind::of(workload), async move |f: F| {
        warm_up(f.clone(), workload, n).await;
        // One handle stays here: a workload may give its own away before its end.
        workloads::measure(f.clone(), workload, n).await
    });
    match measured {
        Some(measured) => Outcome::Measured(measured),
        None => Outcome::NotApplicable { not_applicable: "has no such thing".to_owned() },
    }
}

/// The same, smaller: code and threads are warm, and the memory of the allocator is not yet there
/// where memory is what is measured.
async fn warm_up<F: Framework>(f: F, workload: Workload, n: u64) {
    let n = match workload {
        Workload::ManyIdle | Workload::Skynet => 1_000,
        Workload::IdleSupervised => return,
        _ => n / 10,
    };
    workloads::measure(f, workload, n).await;
}
