//! Administrative calls on their way: who asked, and what is kept until the machine has decided.

use ggml_agent_core::AgentId;
use ggml_agent_core::sequence::Sequence;
use ggml_agent_core::supervise::{Answer, CallError, CallId, Event, Request};

use crate::cell::handle::CellRef;
use crate::error::StartError;
use crate::reply::Reply;
use crate::spec::Child;

/// One question to a supervisor.
pub(crate) struct Call {
    pub(super) request: Request,
    /// What starts the child that is to be added.
    pub(super) child: Option<Child>,
    pub(super) reply: Reply<Result<Done, CallError>>,
}

/// The answer to a call, with the child's cell where it started one.
pub(crate) struct Done {
    pub(super) answer: Answer,
    pub(super) cell: Option<CellRef>,
}

/// Children to be started one after the other.
pub(crate) struct Batch {
    pub(super) rest: std::vec::IntoIter<Child>,
    pub(super) started: Vec<CellRef>,
    pub(super) reply: Reply<BatchDone>,
}

/// What became of a batch: those that run, up to the first that does not.
pub(crate) struct BatchDone {
    pub(super) started: Vec<CellRef>,
    pub(super) error: Option<StartError>,
}

/// Who waits for the answer to a call.
enum Asker {
    One(Reply<Result<Done, CallError>>),
    Batch(Box<Batch>),
}

/// What a call is about.
enum Subject {
    Other,
    /// A child that the machine has not taken so far.
    New(Child),
    /// The child that it took.
    Added(CellRef),
    Stops(AgentId),
}

/// Calls without an answer so far.
#[derive(Default)]
pub(super) struct Calls {
    waiting: Sequence<(Asker, Subject)>,
    n_calls: u64,
}

impl Calls {
    /// The event of a new call.
    pub(super) fn ask(&mut self, call: Call) -> Event {
        let Call { request, child, reply } = call;
        let subject = match (child, &request) {
            (Some(child), _) => Subject::New(child),
            (None, Request::Stop(id)) => Subject::Stops(id.clone()),
            (None, _) => Subject::Other,
        };
        self.add(request, Asker::One(reply), subject)
    }

    /// The event that starts the next child of a batch; `None` when there is none, and then the
    /// asker has been told.
    pub(super) fn ask_next(&mut self, mut batch: Box<Batch>) -> Option<Event> {
        // Who has left wants no more of them.
        let next = if batch.reply.is_abandoned() { None } else { batch.rest.next() };
        match next.map(|child| child.core().map(|spec| (spec, child))) {
            Some(Ok((spec, child))) => {
                Some(self.add(Request::Start(spec), Asker::Batch(batch), Subject::New(child)))
            }
            Some(Err(error)) => {
                batch.end(Some(error));
                None
            }
            None => {
                batch.end(None);
                None
            }
        }
    }

    fn add(&mut self, request: Request, asker: Asker, subject: Subject) -> Event {
        self.n_calls += 1;
        self.waiting.push(self.n_calls, (asker, subject));
        Event::Call { call: CallId(self.n_calls), request }
    }

    /// The child of a call that the machine has taken, for its cell to be made.
    pub(super) fn take_child(&mut self, call: CallId) -> Option<Child> {
        let (_, subject) = self.waiting.get_mut(call.0)?;
        match std::mem::replace(subject, Subject::Other) {
            Subject::New(child) => Some(child),
            other => {
                *subject = other;
                None
            }
        }
    }

    /// The child of a call has its cell.
    pub(super) fn note_cell(&mut self, call: CallId, cell: CellRef) {
        if let Some((_, subject)) = self.waiting.get_mut(call.0) {
            *subject = Subject::Added(cell);
        }
    }

    /// The child that a call asks to stop.
    pub(super) fn stops(&self, call: CallId) -> Option<&AgentId> {
        match self.waiting.get(call.0)? {
            (_, Subject::Stops(id)) => Some(id),
            _ => None,
        }
    }

    /// Tells the answer; what follows from it, if it was to a batch.
    pub(super) fn answer(
        &mut self,
        call: CallId,
        answer: Result<Answer, CallError>,
    ) -> Option<Event> {
        let (asker, subject) = self.waiting.remove(call.0)?;
        let cell = match subject {
            Subject::Added(cell) => Some(cell),
            Subject::Other | Subject::New(_) | Subject::Stops(_) => None,
        };
        match asker {
            Asker::One(reply) => {
                reply.send(answer.map(|answer| Done { answer, cell }));
                None
            }
            Asker::Batch(mut batch) => match started(answer, cell) {
                Ok(cell) => {
                    batch.started.push(cell);
                    self.ask_next(batch)
                }
                Err(error) => {
                    batch.end(Some(error));
                    None
                }
            },
        }
    }
}

impl Batch {
    fn end(self, error: Option<StartError>) {
        let Self { started, reply, .. } = self;
        reply.send(BatchDone { started, error });
    }
}

/// The cell of a child that was to be started, if it runs.
pub(super) fn started(
    answer: Result<Answer, CallError>,
    cell: Option<CellRef>,
) -> Result<CellRef, StartError> {
    let cell = cell.ok_or(StartError::Ended);
    match answer? {
        Answer::Started { .. } => cell,
        Answer::Ignored { .. } => Err(StartError::Ignored { id: cell?.header().id.clone() }),
        _ => Err(StartError::Ended),
    }
}
