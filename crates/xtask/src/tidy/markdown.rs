//! Links in Markdown lead somewhere.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::Finding;

/// Checks the relative links of `pages` (path and text); `exists` answers for a path below the
/// root. A `#anchor` is checked when it points into one of the pages.
pub(super) fn check(pages: &[(PathBuf, String)], exists: impl Fn(&Path) -> bool) -> Vec<Finding> {
    let anchors: BTreeMap<&Path, Vec<String>> =
        pages.iter().map(|(file, text)| (file.as_path(), anchors(text))).collect();
    let mut findings = Vec::new();
    for (file, text) in pages {
        for (line_idx, target) in links(text) {
            if is_foreign(&target) {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let to = if path.is_empty() { Some(file.clone()) } else { below(file, path) };
            let known = to.as_deref().and_then(|to| anchors.get(to));
            if !to.as_deref().is_some_and(&exists) {
                let what = format!("the link to {target} leads nowhere");
                findings.push(Finding::at(file, line_idx, what));
            } else if let Some(known) = known
                && !anchor.is_empty()
                && !known.iter().any(|slug| slug == anchor)
            {
                let what = format!("the link to {target}: there is no such heading");
                findings.push(Finding::at(file, line_idx, what));
            }
        }
    }
    findings
}

/// Whether the target names a scheme (`https:`, `mailto:`) or a host.
fn is_foreign(target: &str) -> bool {
    let scheme = target.split(['/', '#', '?']).next().is_some_and(|head| head.contains(':'));
    scheme || target.starts_with("//")
}

/// The path that `link` means on the page `file`; `None` when it leads out of the repository.
fn below(file: &Path, link: &str) -> Option<PathBuf> {
    let mut path = match link.strip_prefix('/') {
        Some(_) => PathBuf::new(),
        None => file.parent().unwrap_or(Path::new("")).to_path_buf(),
    };
    for part in Path::new(link.trim_start_matches('/')).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// The link targets of `text` with their lines from 0: `[text](target)` and `[label]: target`.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (line_idx, line) in prose(text) {
        let mut rest = line.as_str();
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            let len = rest.find([')', ' ']).unwrap_or(rest.len());
            links.push((line_idx, rest[..len].trim_matches(['<', '>']).to_owned()));
        }
        let definition = line.trim_start().strip_prefix('[').and_then(|l| l.split_once("]:"));
        if let Some((_, target)) = definition
            && let Some(target) = target.split_whitespace().next()
        {
            links.push((line_idx, target.trim_matches(['<', '>']).to_owned()));
        }
    }
    links.retain(|(_, target)| !target.is_empty());
    links
}

/// The lines outside of fenced code, with inline code taken out.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut fence: Option<&str> = None;
    let mut lines = Vec::new();
    for (line_idx, line) in text.lines().enumerate() {
        let begin = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| begin.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (Some(_), _) => {}
            (None, None) => {
                // Every second piece between backticks is code.
                let pieces = line.split('`').step_by(2);
                lines.push((line_idx, pieces.collect::<Vec<_>>().join("``")));
            }
        }
    }
    lines
}

/// The anchors that GitHub gives to the headings of `text`.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let level = line.len() - line.trim_start_matches('#').len();
        if fenced || !(1..=6).contains(&level) || !line[level..].starts_with(' ') {
            continue;
        }
        let heading = line[level..].trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let slug: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let mut unique = slug.clone();
        let mut n = 0;
        while anchors.contains(&unique) {
            n += 1;
            unique = format!("{slug}-{n}");
        }
        anchors.push(unique);
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(pages: &[(&str, &str)], others: &[&str]) -> Vec<String> {
        let pages: Vec<(PathBuf, String)> =
            pages.iter().map(|(file, text)| (PathBuf::from(file), (*text).to_owned())).collect();
        let exists = |path: &Path| {
            pages.iter().any(|(file, _)| file == path) || others.iter().any(|o| path == *o)
        };
        check(&pages, exists).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_are_followed_from_their_page() {
        let page = "[a](b.md) [b](../LICENSE \"title\") [c](https://x.example/y) [d](#here)\n\
                    # Here\n[e]: ./b.md\n[f](</LICENSE>)\n[g](mailto:x@y.example)\n";
        assert_eq!(problems(&[("docs/a.md", page), ("docs/b.md", "")], &["LICENSE"]), [""; 0]);
    }

    #[test]
    fn a_dead_link_is_found() {
        let page = "fine\n[a](gone.md) and [b](../out.md)\n[c]: nowhere/\n[d](#gone)\n";
        let found = problems(&[("a.md", page)], &[]);
        assert_eq!(
            found,
            [
                "a.md:2: the link to gone.md leads nowhere",
                "a.md:2: the link to ../out.md leads nowhere",
                "a.md:3: the link to nowhere/ leads nowhere",
                "a.md:4: the link to #gone: there is no such heading",
            ]
        );
    }

    #[test]
    fn code_holds_no_links() {
        let page = "`[a](b)` and ``x``\n```\n[a](b)\n```\n~~~\n[a](b)\n```\n~~~\n";
        assert_eq!(problems(&[("a.md", page)], &[]), [""; 0]);
    }

    #[test]
    fn anchors_are_those_of_the_page_linked_to() {
        let page = "[a](b.md#two-words) [b](b.md#same-1) [c](b.md#same-2) [d](x.rs#L3)\n";
        let other = "# Two, words!\n## Same\n## Same\n```\n# Same\n```\n";
        let found = problems(&[("a.md", page), ("b.md", other)], &["x.rs"]);
        assert_eq!(found, ["a.md:1: the link to b.md#same-2: there is no such heading"]);
    }
}
