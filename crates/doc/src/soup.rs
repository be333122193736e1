//! Random Markdown for property tests: nasty lines, nastily joined.

/// `splitmix64` (Steele, Lea, Flood 2014): enough to choose test cases.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % n as u64).unwrap()
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const LINES: &[&str] = &[
    "",
    "",
    "",
    " ",
    "\t",
    "   ",
    "# One",
    "## Two",
    "### Three ###",
    "#",
    "##   ",
    "#hashtag",
    "   # Indented",
    "    # Code",
    "# *Em* `code` [link](x) ![alt](y) <b>b</b>",
    "# a | b",
    "# <!-- c -->",
    "# [x]: y",
    "####### seven",
    "# ggml-agent:toc",
    "# One",
    "# One-1",
    "# Ünïcode ẞ 中文 🎉",
    "# &amp; \\# \u{0}",
    "#\ttab",
    "Title",
    "Title with `code`",
    "===",
    "---",
    "-",
    "=",
    "   ===",
    "    ===",
    "--- ",
    "***",
    "+++",
    "text",
    "Some words here. And more of them! Really?",
    "word",
    "a  ",
    "b\\",
    "> quote",
    "> # quoted heading",
    ">",
    "> - list",
    "- item",
    "- # heading in item",
    "  # in item",
    "  - nested",
    "1. one",
    "1) one",
    "2. # two",
    "    indented",
    "\tindented",
    "* x",
    "+ y",
    "-\tz",
    "```",
    "```rust",
    "~~~",
    "````",
    "  ```",
    "    ```",
    "<div>",
    "</div>",
    "<pre>",
    "</pre>",
    "<!--",
    "-->",
    "<!-- c -->",
    "<?php",
    "?>",
    "<![CDATA[",
    "]]>",
    "<!DOCTYPE x>",
    "<script>",
    "</script>",
    "<b>inline</b>",
    "<custom>",
    "<a href=\"x\">",
    "[ref]: /url",
    "[ref]: /url 'title'",
    "[ref]:",
    "/url",
    "'title",
    "title'",
    "[^1]: note",
    "[^1]:",
    "| a | b |",
    "|---|---|",
    "| c | d |",
    "a | b",
    "--|--",
    ":-:",
    "|-|",
    ": definition",
    "$$",
    "- [ ] task",
    "<!-- ggml-agent:toc -->",
    "<!-- /ggml-agent:toc -->",
    "<!-- ggml-agent:abstract -->",
    "<!-- /ggml-agent:abstract -->",
    "<!-- ggml-agent:abstract+ -->",
    "<!-- /ggml-agent:abstract+ -->",
    "<!-- ggml-agent:toc++ -->",
    "ggml-agent:toc+++ and more text.",
    "ggml-agent:`toc`+ it is. So it is.",
    "ggml-agent:",
    "toc",
    "\u{feff}",
    "\u{feff}# bom",
    "...",
    "title: x",
    "\u{85}",
    "\u{2028}",
    "é́",
    "\u{b}x",
    "\u{c}",
];

/// A text of up to `lines_max` lines with one kind of line ending or a mixture.
pub(crate) fn soup(rng: &mut Rng, lines_max: usize) -> String {
    let mut text = String::new();
    if rng.below(12) == 0 {
        text.push('\u{feff}');
    }
    if rng.below(6) == 0 {
        text.push_str(rng.pick(&[
            "---\ntitle: x\n---\n",
            "---\r\na: b\r\n...\r\n",
            "+++\nx = 1\n+++\n",
            "---\n---\n",
            "---\na",
        ]));
    }
    let eols: &[&str] = match rng.below(6) {
        0 => &["\r\n"],
        1 => &["\r"],
        2 => &["\n", "\r\n", "\r", "\n\r"],
        _ => &["\n"],
    };
    let n = rng.below(lines_max + 1);
    for line in 0..n {
        for _ in 0..=usize::from(rng.below(10) == 0) {
            text.push_str(rng.pick(LINES));
        }
        if line + 1 < n || rng.below(3) > 0 {
            text.push_str(rng.pick(eols));
        }
    }
    text
}

/// Runs `check` on `n` random texts, or on the one that `GGML_AGENT_SEED` names.
pub(crate) fn each(n: u64, test: &'static str, mut check: impl FnMut(&mut Rng)) {
    let seeds = match std::env::var_os("GGML_AGENT_SEED") {
        Some(seed) => {
            let seed: u64 = seed.to_str().unwrap().parse().unwrap();
            seed..seed + 1
        }
        None => 0..n,
    };
    for seed in seeds {
        let _repeat = Repeat { seed, test };
        check(&mut Rng(seed.wrapping_mul(0x1000)));
    }
}

/// Prints how to repeat the run when it panics.
struct Repeat {
    seed: u64,
    test: &'static str,
}

impl Drop for Repeat {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "repeat: GGML_AGENT_SEED={} cargo test -p ggml-agent-doc {}",
                self.seed, self.test
            );
        }
    }
}
