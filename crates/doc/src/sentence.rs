//! One sentence for a section, chosen by counting words: the stand-in for a language model in the demo.
//!
//! The same section always gives the same sentence.

use std::collections::{BTreeMap, BTreeSet};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::abstracts::escape;
use crate::markdown::without_lone_cr;
use crate::section::Section;

/// Longest abstract, in words and in characters before escaping.
const WORDS_MAX: usize = 30;
const CHARS_MAX: usize = 240;

/// Common words say nothing about a section; those under four letters are not counted anyway.
const STOP_WORDS: &[&str] = &[
    "about", "after", "also", "been", "before", "being", "both", "cannot", "could", "does", "each",
    "even", "every", "from", "have", "here", "into", "just", "like", "many", "more", "most",
    "much", "must", "only", "other", "over", "same", "should", "some", "such", "than", "that",
    "their", "them", "then", "there", "these", "they", "this", "those", "very", "were", "what",
    "when", "where", "which", "while", "will", "with", "without", "would", "your",
];

/// Words that end with a full stop inside a sentence.
const ABBREVIATIONS: &[&str] = &[
    "e.g.", "i.e.", "etc.", "vs.", "cf.", "mr.", "mrs.", "dr.", "st.", "no.", "fig.", "approx.",
    "z.b.",
];

/// A sentence about `section`: the one of its own whose words are the most frequent in it, shortened.
/// Plain text on one line, at most 30 words, special characters escaped.
#[must_use]
pub fn abstract_of(section: &Section) -> String {
    let body = Body::read(section.body());
    let sentences: Vec<&str> =
        body.prose.iter().flat_map(|paragraph| sentences(paragraph)).collect();
    let title = section.heading().map_or("", |heading| heading.title.as_str());
    let sentence = best(&sentences, title).map(shorten).filter(|sentence| !sentence.is_empty());
    first_harmless(&escape(&sentence.unwrap_or_else(|| body.inventory())))
}

/// What a section consists of.
#[derive(Default)]
struct Body {
    prose: Vec<String>,
    code_blocks: usize,
    tables: usize,
}

impl Body {
    fn read(text: &str) -> Self {
        let text = without_lone_cr(text);
        let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
        let mut body = Self::default();
        let mut paragraphs = Vec::new();
        let mut items = Vec::new();
        let (mut current, mut mute, mut in_paragraph) = (String::new(), 0_usize, false);
        for event in Parser::new_ext(&text, options) {
            match event {
                Event::Start(tag) if is_mute(&tag) => {
                    body.code_blocks += usize::from(matches!(tag, Tag::CodeBlock(_)));
                    body.tables += usize::from(matches!(tag, Tag::Table(_)));
                    mute += 1;
                }
                Event::End(tag) if is_mute_end(tag) => mute -= 1,
                Event::Start(Tag::Paragraph) => in_paragraph = true,
                // The text of a tight list stands in its items without a paragraph.
                Event::Start(Tag::List(_) | Tag::Item) | Event::End(TagEnd::Item) => {
                    items.push(std::mem::take(&mut current));
                }
                Event::End(TagEnd::Paragraph) => {
                    in_paragraph = false;
                    paragraphs.push(std::mem::take(&mut current));
                }
                Event::Text(part) | Event::Code(part) if mute == 0 => current.push_str(&part),
                Event::SoftBreak | Event::HardBreak => current.push(' '),
                _ => {}
            }
        }
        debug_assert!(!in_paragraph, "the parser closes what it opens");
        let one_line = |text: &String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let some = |texts: &[String]| -> Vec<String> {
            texts.iter().map(one_line).filter(|t| t.contains(char::is_alphanumeric)).collect()
        };
        body.prose = some(&paragraphs);
        if body.prose.is_empty() {
            body.prose = some(&items);
        }
        body
    }

    /// What to say about a section that has no sentence.
    fn inventory(&self) -> String {
        let count = |n: usize, what: &str| match n {
            0 => None,
            1 => Some(format!("one {what}")),
            n => Some(format!("{n} {what}s")),
        };
        let parts: Vec<String> =
            [count(self.code_blocks, "block of code"), count(self.tables, "table")]
                .into_iter()
                .flatten()
                .collect();
        match &parts[..] {
            [] => "This section has no text of its own.".to_owned(),
            parts => format!(
                "This section holds {}.",
                parts.join(" and ").replace("block of codes", "blocks of code")
            ),
        }
    }
}

/// Whether the text inside is not prose.
fn is_mute(tag: &Tag<'_>) -> bool {
    matches!(
        tag,
        Tag::Heading { .. }
            | Tag::CodeBlock(_)
            | Tag::HtmlBlock
            | Tag::Table(_)
            | Tag::Image { .. }
    )
}

fn is_mute_end(tag: TagEnd) -> bool {
    matches!(
        tag,
        TagEnd::Heading(_) | TagEnd::CodeBlock | TagEnd::HtmlBlock | TagEnd::Table | TagEnd::Image
    )
}

/// The sentences of a paragraph that is one line.
fn sentences(paragraph: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut start = 0;
    for (at, c) in paragraph.char_indices() {
        let end = at + c.len_utf8();
        let is_end = match c {
            '。' | '！' | '？' => true,
            ' ' => ends_sentence(&paragraph[start..at]),
            _ => false,
        };
        if is_end {
            sentences.push(paragraph[start..end].trim());
            start = end;
        }
    }
    sentences.push(paragraph[start..].trim());
    sentences.retain(|sentence| sentence.contains(char::is_alphanumeric));
    sentences
}

fn ends_sentence(text: &str) -> bool {
    let word =
        text.rsplit(' ').next().unwrap_or("").trim_end_matches(['"', '\'', ')', '”', '’', '»']);
    if word.ends_with(['!', '?', '…']) {
        return true;
    }
    let word = word.trim_start_matches(['(', '"', '\'', '“', '‘']).to_lowercase();
    let is_initial = word.chars().count() == 2;
    word.ends_with('.') && !is_initial && !ABBREVIATIONS.contains(&word.as_str())
}

/// The words that count.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.chars().count() >= 4 || (!word.is_ascii() && word.chars().count() >= 2))
        .map(str::to_lowercase)
        .filter(|word| !STOP_WORDS.contains(&word.as_str()))
}

/// The sentence whose words are the most frequent ones, relative to its length; the earliest of equals.
fn best<'a>(sentences: &[&'a str], title: &str) -> Option<&'a str> {
    let mut frequency: BTreeMap<String, usize> = BTreeMap::new();
    for word in sentences.iter().flat_map(|sentence| words(sentence)) {
        *frequency.entry(word).or_default() += 1;
    }
    // What the title names matters, even if the text says it once.
    for word in words(title) {
        frequency.entry(word).and_modify(|n| *n += 2);
    }
    let score = |index: usize, sentence: &str| {
        let distinct: BTreeSet<String> = words(sentence).collect();
        let sum: usize = distinct.iter().filter_map(|word| frequency.get(word)).sum();
        let n = sentence.split(' ').count();
        // Whole numbers, so that every machine chooses the same; fragments and monsters lose.
        let score = sum * 1_000 / (n.max(8) + 4);
        let score = if n < 4 { score / 4 } else { score };
        if index == 0 { score + score / 4 } else { score }
    };
    let scored = sentences.iter().enumerate().map(|(index, s)| (score(index, s), index));
    let (_, index) = scored.max_by_key(|(score, index)| (*score, usize::MAX - index))?;
    Some(sentences[index])
}

/// At most [`WORDS_MAX`] words and [`CHARS_MAX`] characters, cut after a clause where possible, and
/// ended like a sentence.
fn shorten(sentence: &str) -> String {
    let is_noise = |c: char| c.is_control() || c == '\u{feff}' || c == '\u{fffd}';
    let clean: String = sentence.chars().filter(|c| !is_noise(*c)).collect();
    let clean = clean
        .trim_start_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '"' | '(' | '“' | '«'))
        .trim_end();
    let (mut end, mut clause, mut n_words) = (clean.len(), None, 0);
    for (n_chars, (at, c)) in clean.char_indices().enumerate() {
        n_words += usize::from(c == ' ');
        if n_words >= WORDS_MAX || n_chars >= CHARS_MAX {
            end = at;
            break;
        }
        if n_words >= 8 && matches!(c, ',' | ';' | '—') {
            clause = Some(at);
        }
    }
    if end < clean.len() {
        let whole_word =
            if clean[end..].starts_with(' ') { Some(end) } else { clean[..end].rfind(' ') };
        let cut = clause.or(whole_word).unwrap_or(end);
        return format!("{}…", clean[..cut].trim_end_matches(|c: char| !c.is_alphanumeric()));
    }
    let bare = clean.trim_end_matches([',', ';', ':', '-', ' ']);
    let closed = bare.trim_end_matches(['"', '\'', ')', '”', '’', '»']);
    if bare.is_empty() || closed.ends_with(['.', '!', '?', '…', '。', '！', '？']) {
        bare.to_owned()
    } else {
        format!("{bare}.")
    }
}

/// A line that begins with `1.` or `1)` would be a list.
fn first_harmless(line: &str) -> String {
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if digits > 0 && line[digits..].starts_with(['.', ')']) {
        format!("{}\\{}", &line[..digits], &line[digits..])
    } else {
        line.to_owned()
    }
}
