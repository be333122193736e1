//! The mirror on yrs.

mod observe;
mod receive;

use self::observe::Capture;
use super::{
    ApplyError, Boot, ClientId, Entry, LoadError, Malformed, Mirror, ReceiveError, Received,
    SectionId, Seed, Splice, Verdict,
    screen::{self, Known},
    splice,
};
use crate::limits;
use bytes::Bytes;
use std::{collections::BTreeMap, fmt, sync::Arc};
use yrs::{
    Any, Doc, GetString, Map, MapRef, OffsetKind, Options, Out, ReadTxn, StateVector, Text,
    TextRef, Transact, TransactionMut, Update,
    updates::{decoder::Decode, encoder::Encode},
};

/// A [`Mirror`] whose CRDT is yrs.
///
/// Memory: the text twice (plain and as CRDT), and what the CRDT remembers of removed text, until [`compact`](Self::compact).
pub struct YrsMirror {
    boot: Boot,
    doc: Doc,
    outline: MapRef,
    entries: BTreeMap<SectionId, Entry>,
    sections: BTreeMap<SectionId, Part>,
    capture: Capture,
    len: usize,
}

/// One section.
struct Part {
    root: TextRef,
    /// What `root` says. It makes an inverse possible, and every change is checked against it.
    text: String,
}

impl fmt::Debug for YrsMirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { boot, sections, len, .. } = self;
        write!(f, "YrsMirror({boot:?}, {} sections, {len} bytes)", sections.len())
    }
}

impl YrsMirror {
    /// A new history, from plain texts.
    ///
    /// # Errors
    /// [`ApplyError`] if the texts do not fit the limits, or if two sections have one name.
    pub fn open(boot: Boot, seeds: Vec<Seed>) -> Result<Self, ApplyError> {
        let mut mirror = Self::empty(boot);
        for seed in seeds {
            mirror.add(seed)?;
        }
        Ok(mirror)
    }

    /// Goes on with the history of `state`, which [`save`](Self::save) gave; it has these sections.
    ///
    /// If the state knows the id of `boot`, the mirror takes another: see [`client`](Mirror::client).
    ///
    /// # Errors
    /// [`LoadError::Damaged`] if the bytes are no state: open a new epoch from the texts then.
    pub fn load(
        mut boot: Boot,
        sections: Vec<(SectionId, Entry)>,
        state: &[u8],
    ) -> Result<Self, LoadError> {
        let update = Update::decode_v2(state).map_err(|_| LoadError::Damaged)?;
        let known = update.state_vector();
        while known.get(&yrs::ClientID::new(boot.client.get())) > 0 {
            boot.client = boot.client.step();
        }
        let mut mirror = Self::empty(boot);
        for (id, entry) in sections {
            mirror.admit(&id, 0)?;
            mirror.root(&id);
            mirror.entries.insert(id, entry);
        }
        let applied = mirror.doc.transact_mut().apply_update(update);
        applied.map_err(|_| LoadError::Damaged)?;
        if mirror.doc.transact().has_missing_updates() {
            return Err(LoadError::Damaged);
        }
        let txn = mirror.doc.transact();
        for part in mirror.sections.values_mut() {
            part.text = part.root.get_string(&txn);
            check_len(part.text.len(), limits::SECTION_LEN_MAX)?;
            mirror.len += part.text.len();
        }
        drop(txn);
        check_len(mirror.len, limits::DOCUMENT_LEN_MAX)?;
        mirror.restore_outline();
        Ok(mirror)
    }

    /// The whole state in Yjs' second encoding, for [`load`](Self::load).
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        self.doc.transact().encode_state_as_update_v2(&StateVector::default())
    }

    /// Whether a state of `state_len` bytes, as [`save`](Self::save) gives, is worth a new epoch.
    #[must_use]
    pub fn wants_compaction(&self, state_len: usize) -> bool {
        let ratio = self.len.saturating_mul(limits::COMPACT_RATIO);
        state_len > limits::COMPACT_STATE_LEN_MAX
            || state_len > ratio.max(limits::COMPACT_STATE_LEN_MIN)
    }

    /// A new history from the plain texts of this one. All editors must be sent to the new epoch's room.
    ///
    /// # Errors
    /// [`ApplyError`] never in practice: the texts fit already.
    pub fn compact(&self, boot: Boot) -> Result<Self, ApplyError> {
        let seed = |(id, part): (&SectionId, &Part)| {
            let entry = self.entries.get(id).cloned().unwrap_or_default();
            Seed::new(id.clone(), part.text.clone(), entry)
        };
        Self::open(boot, self.sections.iter().map(seed).collect())
    }

    /// Whether the CRDT says the same as the plain texts, in all sections. It reads everything: for tests and samples.
    #[must_use]
    pub fn agrees(&self) -> bool {
        let txn = self.doc.transact();
        self.sections.values().all(|part| part.root.get_string(&txn) == part.text)
    }

    fn empty(boot: Boot) -> Self {
        let doc = Doc::with_options(Options {
            // Not `Bytes`, which is what we count in: an editor that cuts a surrogate pair makes two U+FFFD of it,
            // 6 bytes of 4, and yrs 0.28.1 does not count that; it then subtracts more than there is (it panics, or
            // counts garbage in release). In UTF-16 a cut changes no length.
            offset_kind: OffsetKind::Utf16,
            // Formats are not let in: nothing to clean.
            cleanup_formatting: false,
            ..Options::with_client_id(yrs::ClientID::new(boot.client.get()))
        });
        let outline = doc.get_or_insert_map("outline");
        let capture = Capture::default();
        capture.watch_outline(&outline);
        let (sections, entries) = (BTreeMap::new(), BTreeMap::new());
        Self { boot, doc, outline, entries, sections, capture, len: 0 }
    }

    /// Whether another section of this length may be added.
    fn admit(&self, id: &SectionId, len: usize) -> Result<(), ApplyError> {
        if self.sections.contains_key(id) {
            return Err(ApplyError::KnownSection);
        }
        if self.sections.len() >= limits::SECTIONS_MAX {
            return Err(ApplyError::TooManySections);
        }
        check_len(len, limits::SECTION_LEN_MAX)?;
        check_len(self.len + len, limits::DOCUMENT_LEN_MAX)
    }

    fn root(&mut self, id: &SectionId) -> TextRef {
        let root = self.doc.get_or_insert_text(id.root());
        self.capture.watch_section(id, &root);
        self.sections.insert(id.clone(), Part { root: root.clone(), text: String::new() });
        root
    }

    /// Sets right what the outline says; gives the update if anything was wrong.
    fn restore_outline(&mut self) -> Option<Bytes> {
        let mut txn = self.doc.transact_mut();
        let wrong = |(key, value): (&str, Out)| {
            let right = self.entries.get(key).map(any_of);
            (right.map(Out::Any) != Some(value)).then(|| key.to_owned())
        };
        let wrong: Vec<_> = self.outline.iter(&txn).filter_map(wrong).collect();
        for key in wrong {
            self.outline.remove(&mut txn, &key);
        }
        for (id, entry) in &self.entries {
            if self.outline.get(&txn, id.as_str()).is_none() {
                self.outline.insert(&mut txn, id.as_str(), any_of(entry));
            }
        }
        committed(txn)
    }
}

impl Mirror for YrsMirror {
    fn client(&self) -> ClientId {
        self.boot.client
    }

    fn epoch(&self) -> u64 {
        self.boot.epoch
    }

    fn state_vector(&self) -> Bytes {
        self.doc.transact().state_vector().encode_v1().into()
    }

    fn diff(&self, state_vector: &[u8]) -> Result<Bytes, Malformed> {
        screen::state_vector(state_vector)?;
        let theirs = StateVector::decode_v1(state_vector).map_err(|_| Malformed::Damaged)?;
        Ok(self.doc.transact().encode_diff_v1(&theirs).into())
    }

    fn merge(updates: &[Bytes]) -> Bytes {
        match updates {
            [one] => one.clone(),
            many => yrs::merge_updates_v1(many)
                .map(Bytes::from)
                .expect("invariant: these updates are yrs' own"),
        }
    }

    fn apply(&mut self, section: &SectionId, splices: &[Splice]) -> Result<Bytes, ApplyError> {
        let part = self.sections.get_mut(section).ok_or(ApplyError::UnknownSection)?;
        let after = splice::applied(&part.text, splices)?;
        let total = self.len - part.text.len() + after.len();
        if after.len() > part.text.len() {
            check_len(after.len(), limits::SECTION_LEN_MAX)?;
            check_len(total, limits::DOCUMENT_LEN_MAX)?;
        }
        let mut txn = self.doc.transact_mut();
        if splices.len() <= limits::SPLICES_PER_EDIT_MAX {
            write(&part.root, &mut txn, &part.text, splices);
        } else {
            let one = Splice::between(&part.text, &after);
            write(&part.root, &mut txn, &part.text, one.as_slice());
        }
        (part.text, self.len) = (after, total);
        Ok(txn.encode_update_v1().into())
    }

    fn add(&mut self, seed: Seed) -> Result<Bytes, ApplyError> {
        let Seed { id, text, entry } = seed;
        self.admit(&id, text.len())?;
        let root = self.root(&id);
        let mut txn = self.doc.transact_mut();
        if !text.is_empty() {
            root.insert(&mut txn, 0, &text);
        }
        self.outline.insert(&mut txn, id.as_str(), any_of(&entry));
        let update = txn.encode_update_v1().into();
        drop(txn);
        self.len += text.len();
        self.sections.insert(id.clone(), Part { root, text });
        self.entries.insert(id, entry);
        Ok(update)
    }

    fn outline(&mut self, section: &SectionId, entry: Entry) -> Result<Bytes, ApplyError> {
        let slot = self.entries.get_mut(section).ok_or(ApplyError::UnknownSection)?;
        let mut txn = self.doc.transact_mut();
        self.outline.insert(&mut txn, section.as_str(), any_of(&entry));
        *slot = entry;
        Ok(txn.encode_update_v1().into())
    }

    fn receive(
        &mut self,
        update: &[u8],
        judge: &mut dyn FnMut(&SectionId) -> Verdict,
    ) -> Result<Received, ReceiveError> {
        let screened = self.screen(update)?;
        self.integrate(&screened, judge)
    }

    fn authors(&self, update: &[u8]) -> Result<Vec<ClientId>, ReceiveError> {
        Ok(self.screen(update)?.authors)
    }

    fn text(&self, section: &SectionId) -> Option<&str> {
        self.sections.get(section).map(|part| part.text.as_str())
    }
}

/// What screening asks of the mirror.
struct State<'a> {
    mirror: &'a YrsMirror,
    clocks: StateVector,
}

impl Known for State<'_> {
    fn clock(&self, client: u64) -> u64 {
        u64::from(self.clocks.get(&yrs::ClientID::new(client)))
    }

    fn has_section(&self, id: &str) -> bool {
        self.mirror.sections.contains_key(id)
    }

    fn own(&self) -> u64 {
        self.mirror.boot.client.get()
    }
}

/// Applies splices that are known to fit `text`, which the root says.
fn write(root: &TextRef, txn: &mut TransactionMut<'_>, text: &str, splices: &[Splice]) {
    let mut text = text.to_owned();
    for splice in splices {
        let (before, rest) = text.split_at(splice.at);
        let (at, del) = (units(before), units(&rest[..splice.del]));
        if del > 0 {
            root.remove_range(txn, at, del);
        }
        if !splice.insert.is_empty() {
            root.insert(txn, at, &splice.insert);
        }
        text.replace_range(splice.at..splice.at + splice.del, &splice.insert);
    }
}

/// Length in units of UTF-16, in which all Yjs counts.
fn units(text: &str) -> u32 {
    u32::try_from(text.encode_utf16().count())
        .expect("invariant: a section is far below 4 Gi units")
}

/// The update of a transaction, if it changed anything.
fn committed(txn: TransactionMut<'_>) -> Option<Bytes> {
    let changed = !txn.insert_set().is_empty() || !txn.delete_set().is_empty();
    changed.then(|| txn.encode_update_v1().into())
}

fn check_len(len: usize, max: usize) -> Result<(), ApplyError> {
    if len > max { Err(ApplyError::TooLong { len, max }) } else { Ok(()) }
}

/// An entry as a plain value: one register that is set as a whole, never two halves of two writers.
fn any_of(entry: &Entry) -> Any {
    let Entry { title, order, archived, level } = entry;
    let fields = [
        ("title", Any::from(title.as_str())),
        ("order", Any::from(order.as_str())),
        ("archived", Any::from(*archived)),
        ("level", Any::from(u32::from(*level))),
    ];
    Any::Map(Arc::new(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()))
}
