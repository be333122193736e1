//! Everything that is printed: lines for people, or JSON lines.
//!
//! JSON: one object per line. Each has `event` (what), `at_ms` (milliseconds since the start), `who`
//! and `text` (the line as people see it), and the event's own fields. Events of the system's stream
//! also have `seq` (gap-free) and `unix_ms`. The first line has `schema`, the last one is `ledger`.
//! What was added to a shape keeps the number of its schema; what was changed or removed raises it.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use crate::args::{Form, Global};
use crate::failure::Failure;

/// How a line is meant; the words say the same without colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Warning,
    Bad,
}

/// From which verbosity on a line is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Always.
    Result,
    /// Unless `-q`.
    Event,
    /// With `-v`.
    Detail,
}

/// One line.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) at: Duration,
    pub(crate) who: String,
    pub(crate) event: &'static str,
    pub(crate) level: Level,
    pub(crate) tone: Tone,
    pub(crate) text: String,
    pub(crate) fields: Vec<(&'static str, Value)>,
}

impl Line {
    /// A line of the ordinary kind.
    pub(crate) fn new(at: Duration, who: &str, event: &'static str, text: String) -> Self {
        let (level, tone) = (Level::Event, Tone::Plain);
        Self { at, who: who.to_owned(), event, level, tone, text, fields: Vec::new() }
    }

    pub(crate) fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    pub(crate) fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// One more field of the JSON form.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((name, value.into()));
        self
    }
}

/// Where lines go.
pub(crate) struct Screen {
    out: Box<dyn Write>,
    form: Form,
    level: Level,
    has_colour: bool,
    /// Said on the first JSON line.
    schema: Option<&'static str>,
}

impl Screen {
    /// The standard output. Locked for good: nothing else in the process prints to it.
    pub(crate) fn stdout(global: &Global, otherwise: Option<Form>, schema: &'static str) -> Self {
        let stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        let default = otherwise.unwrap_or(if is_terminal { Form::Human } else { Form::Json });
        let level = match (global.quiet, global.verbose) {
            (true, _) => Level::Result,
            (false, 0) => Level::Event,
            (false, _) => Level::Detail,
        };
        // no-color.org: set and not empty.
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            out: Box::new(stdout.lock()),
            form: global.output.unwrap_or(default),
            level,
            has_colour: is_terminal && !global.no_color && !is_set("NO_COLOR") && !is_dumb,
            schema: Some(schema),
        }
    }

    /// Prints a line, if it is wanted. Whoever closed the pipe does not want to read on: that is no
    /// failure of the work, which goes on.
    pub(crate) fn line(&mut self, line: &Line) {
        if line.level > self.level {
            return;
        }
        let text = match self.form {
            Form::Human => human(line, self.has_colour),
            Form::Json => json(line, self.schema.take()),
        };
        self.raw(text.as_bytes());
    }

    /// Prints text that is only for people.
    pub(crate) fn note(&mut self, text: &str) {
        if self.form == Form::Human && self.level >= Level::Event {
            self.raw(format!("{text}\n").as_bytes());
        }
    }

    /// Prints bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let written = self.out.write_all(bytes).and_then(|()| self.out.flush());
        if written.is_err() {
            self.out = Box::new(io::sink());
        }
    }

    #[cfg(test)]
    pub(crate) fn capture(form: Form, level: Level, out: Box<dyn Write>) -> Self {
        Self { out, form, level, has_colour: false, schema: Some("test/1") }
    }
}

fn human(line: &Line, has_colour: bool) -> String {
    let (on, off) = match line.tone {
        _ if !has_colour => ("", ""),
        Tone::Plain => ("", ""),
        Tone::Good => ("\x1b[32m", "\x1b[0m"),
        Tone::Warning => ("\x1b[33m", "\x1b[0m"),
        Tone::Bad => ("\x1b[1;31m", "\x1b[0m"),
    };
    if line.who.is_empty() {
        return format!("{on}{}{off}\n", line.text);
    }
    let secs = line.at.as_secs();
    let ms = line.at.subsec_millis();
    format!("{secs:>4}.{ms:03}  {:<10} {on}{}{off}\n", line.who, line.text)
}

fn json(line: &Line, schema: Option<&'static str>) -> String {
    let at_ms = u64::try_from(line.at.as_millis()).unwrap_or(u64::MAX);
    let mut object = String::from("{");
    // By hand: people read these lines too, and a map would sort the names.
    let mut put = |name: &str, value: &Value| {
        if object.len() > 1 {
            object.push(',');
        }
        object.push_str(&format!("{}:{value}", Value::from(name)));
    };
    if let Some(schema) = schema {
        put("schema", &schema.into());
    }
    put("event", &line.event.into());
    put("at_ms", &at_ms.into());
    if !line.who.is_empty() {
        put("who", &line.who.as_str().into());
    }
    for (name, value) in &line.fields {
        put(name, value);
    }
    put("text", &line.text.as_str().into());
    object.push_str("}\n");
    object
}

/// Prints what the parser of the arguments says: help and version are results, the rest is 2.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    let is_answer = error.exit_code() == 0;
    if is_answer {
        print(io::stdout().lock(), &text)
    } else {
        print(io::stderr().lock(), &text)
    }
    if is_answer { ExitCode::SUCCESS } else { ExitCode::from(2) }
}

/// Prints why a command failed: what, the chain of causes, what to do next.
pub(crate) fn failure(failure: &Failure) -> ExitCode {
    let mut text = format!("error: {}\n", failure.error);
    for cause in failure.error.chain().skip(1) {
        text.push_str(&format!("cause: {cause}\n"));
    }
    if let Some(next) = &failure.next {
        text.push_str(&format!("next:  {next}\n"));
    }
    print(io::stderr().lock(), &text);
    ExitCode::from(failure.code as u8)
}

/// Asks a person; `None` if nobody is there to answer.
pub(crate) fn ask(question: &str) -> Option<bool> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return None;
    }
    print(io::stderr().lock(), &format!("{question} [y/N] "));
    let mut answer = String::new();
    // Whoever cannot be heard did not agree.
    let is_read = stdin.read_line(&mut answer).is_ok();
    Some(is_read && matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A text of somebody else's in one line, without what a terminal would obey.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { plain.extend(c.escape_default()) } else { plain.push(c) }
    }
    plain
}

fn print(mut to: impl Write, text: &str) {
    // There is nowhere else to say that it could not be said.
    drop(to.write_all(text.as_bytes()).and_then(|()| to.flush()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_line_is_one_object_with_its_fields_in_order() {
        let line = Line::new(Duration::from_millis(1500), "writer-1", "x", "a \"b\"\n".to_owned())
            .with("section", "s1")
            .with("n", 3);
        assert_eq!(
            json(&line, Some("t/1")),
            "{\"schema\":\"t/1\",\"event\":\"x\",\"at_ms\":1500,\"who\":\"writer-1\",\"section\":\"s1\",\
             \"n\":3,\"text\":\"a \\\"b\\\"\\n\"}\n"
        );
    }

    #[test]
    fn a_text_of_somebody_elses_cannot_steer_the_terminal() {
        assert_eq!(plain("a\x1b[2Jb\nc \u{e9}\u{9b}"), "a\\u{1b}[2Jb\\nc \u{e9}\\u{9b}");
    }

    #[test]
    fn colour_only_repeats_what_the_words_say() {
        let line = Line::new(Duration::ZERO, "chaos", "x", "KILLS".to_owned()).tone(Tone::Bad);
        let (plain, coloured) = (human(&line, false), human(&line, true));
        assert_eq!(plain, "   0.000  chaos      KILLS\n");
        assert_eq!(coloured.replace("\x1b[1;31m", "").replace("\x1b[0m", ""), plain);
    }
}
