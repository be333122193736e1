//! What an open document costs that nobody works on: its share of the live heap.

use ggml_agent::{Report, System};
use ggml_agent_doc::DocumentRef;

use super::house::{document, id};
use super::{Rows, Scale};
use crate::clock::real;
use crate::table::short;

/// Sections, and characters of each: a large document, and a note.
const SIZES: [(usize, usize); 2] = [(100, 2_000), (4, 1_000)];

pub(super) fn measure(scale: &Scale) -> Result<Rows, Report> {
    let mut rows = Rows::new();
    for (n_sections, len) in SIZES {
        // One thread, so that everything is allocated where it is counted.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let system = runtime.block_on(async { System::new() });
        // The first one brings what all share.
        let mut refs = vec![runtime.block_on(open(&system, 0, n_sections, len))?];
        let mut opened = Ok(());
        let heap = allocation_counter::measure(|| {
            opened = (1..=scale.n_documents).try_for_each(|nth| {
                refs.push(runtime.block_on(open(&system, nth, n_sections, len))?);
                Ok::<(), Report>(())
            });
        });
        opened?;
        let text = runtime.block_on(refs[0].snapshot())?.to_markdown().len();
        let each = real(usize::try_from(heap.bytes_current).unwrap_or(0)) / real(scale.n_documents);
        let (kib, text_kib) = (each / 1024.0, real(text) / 1024.0);
        rows.push((
            format!("heap of an idle document, {n_sections} sections"),
            format!(
                "{} KiB: text {} KiB and {} KiB",
                short(kib),
                short(text_kib),
                short(kib - text_kib)
            ),
            "<= 3 x text + 200 KiB",
        ));
        runtime.block_on(system.shutdown(Scale::SHUTDOWN));
    }
    Ok(rows)
}

async fn open(
    system: &System,
    nth: usize,
    n_sections: usize,
    len: usize,
) -> Result<DocumentRef, Report> {
    let text = document(n_sections, len)?;
    let opened = DocumentRef::start(system, &id(&format!("doc-{nth}")), text).await?;
    // Its agent has started, and waits.
    opened.snapshot().await?;
    Ok(opened)
}
