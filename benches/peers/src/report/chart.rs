//! A horizontal bar chart as SVG: one group per workload, ratios to tokio's channel, a log scale
//! whose bars begin at 1.

use std::fmt::Write;

use crate::line::Subject;
use crate::summary::Summary;
use crate::workload::Workload;

/// The bars of one workload.
#[derive(Debug)]
pub(super) struct Group {
    title: String,
    /// The series, its ratio, and what is written after the number.
    bars: Vec<(Series, f64, String)>,
}

/// Whose bar it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Series {
    Ours,
    Channel,
    Peer(Subject),
}

const SERIES: [Series; 6] = [
    Series::Ours,
    Series::Channel,
    Series::Peer(Subject::Actix),
    Series::Peer(Subject::Ractor),
    Series::Peer(Subject::Kameo),
    Series::Peer(Subject::Xtra),
];

impl Series {
    fn name(self) -> String {
        match self {
            Self::Ours => Subject::GgmlAgent.to_string(),
            Self::Channel => "quickest raw channel".to_owned(),
            Self::Peer(subject) => subject.to_string(),
        }
    }

    fn class(self) -> String {
        match self {
            Self::Ours => "ours".to_owned(),
            Self::Channel => "channel".to_owned(),
            Self::Peer(subject) => subject.to_string(),
        }
    }
}

/// The workloads in which tokio's channel takes part.
pub(super) fn groups(summary: &Summary<'_>) -> Vec<Group> {
    let mut groups = Vec::new();
    for workload in summary.workloads() {
        let bars = bars(summary, workload);
        if !bars.is_empty() {
            groups.push(Group { title: workload.to_string(), bars });
        }
    }
    groups
}

fn bars(summary: &Summary<'_>, workload: Workload) -> Vec<(Series, f64, String)> {
    let setting = (workload, 2);
    let bar = |series: Series| {
        let (subject, note) = match series {
            Series::Ours => (Subject::GgmlAgent, String::new()),
            Series::Peer(subject) => (subject, String::new()),
            Series::Channel => {
                let quickest = summary.quickest(setting, Subject::is_channel)?;
                (quickest, format!(" {quickest}"))
            }
        };
        Some((series, summary.wall_ratio(setting, subject)?, note))
    };
    SERIES.into_iter().filter_map(bar).collect()
}

// Pixels.
const WIDTH: f64 = 920.0;
const LEFT: f64 = 130.0;
const RIGHT: f64 = 110.0;
const TOP: f64 = 104.0;
const BAR: f64 = 10.0;
const GAP: f64 = 14.0;

/// Colours that people who see few of them can tell apart (Okabe and Ito's), brighter in the dark.
const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-size:17px;font-weight:600}\
.small{font-size:10px;fill:#57606a}.name{font-weight:600}.back{fill:#fff}\
.grid{stroke:#d0d7de}.one{stroke:#24292f;stroke-width:1.5}\
.ours{fill:#0072b2}.channel{fill:#8c959f}.actix{fill:#e69f00}.ractor{fill:#d55e00}\
.kameo{fill:#cc79a7}.xtra{fill:#009e73}\
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9198a1}.back{fill:#0d1117}\
.grid{stroke:#3d444d}.one{stroke:#e6edf3}.ours{fill:#56b4e9}.xtra{fill:#2fbf95}}";

/// The chart.
pub(super) fn render(groups: &[Group]) -> String {
    let scale = Scale::over(groups);
    let mut y = TOP;
    let mut bars = String::new();
    for group in groups {
        draw(&mut bars, group, &scale, y);
        y += count(group.bars.len()) * BAR + GAP;
    }
    let height = y + 12.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
         <title>Time per operation as a ratio to a raw tokio channel</title>\n\
         <style>{STYLE}</style>\n\
         <rect class=\"back\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text class=\"title\" x=\"16\" y=\"28\">Time per operation, raw tokio mpsc = 1</text>\n\
         <text class=\"small\" x=\"16\" y=\"46\">wall time, log scale; left of the line is quicker, \
         right of it slower; median of same-round ratios</text>\n"
    );
    draw_legend(&mut svg);
    draw_grid(&mut svg, &scale, y);
    svg.push_str(&bars);
    svg.push_str("</svg>\n");
    svg
}

/// From ratios to pixels.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn over(groups: &[Group]) -> Self {
        let ratios = || groups.iter().flat_map(|group| group.bars.iter().map(|bar| bar.1));
        Self { low: ratios().fold(0.1, f64::min), high: ratios().fold(10.0, f64::max) }
    }

    fn x(&self, ratio: f64) -> f64 {
        let share = (ratio / self.low).ln() / (self.high / self.low).ln();
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        const TICKS: [f64; 14] =
            [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1_000.0];
        TICKS.into_iter().filter(|tick| (self.low..=self.high).contains(tick))
    }
}

fn draw(svg: &mut String, group: &Group, scale: &Scale, top: f64) {
    let middle = top + count(group.bars.len()) * BAR / 2.0 + 4.0;
    let name_end = LEFT - 12.0;
    line(
        svg,
        format_args!(
            "<text class=\"name\" x=\"{name_end}\" y=\"{middle:.1}\" text-anchor=\"end\">{}</text>",
            escape(&group.title)
        ),
    );
    for (i, (series, ratio, note)) in group.bars.iter().enumerate() {
        let y = top + count(i) * BAR;
        let (from, to) = (scale.x(ratio.min(1.0)), scale.x(ratio.max(1.0)));
        let (class, width, height) = (series.class(), (to - from).max(1.0), BAR - 1.5);
        line(
            svg,
            format_args!(
                "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
             height=\"{height}\"/>"
            ),
        );
        // Behind the bar's end, always right of the line: names stand on the left.
        let (x, y) = (to + 4.0, y + BAR - 2.0);
        line(
            svg,
            format_args!(
                "<text class=\"small\" x=\"{x:.1}\" y=\"{y:.1}\">{ratio:.2}{}</text>",
                escape(note)
            ),
        );
    }
}

fn draw_legend(svg: &mut String) {
    let mut x = 16.0;
    for series in SERIES {
        let (class, name, text_x) = (series.class(), series.name(), x + 16.0);
        line(
            svg,
            format_args!(
                "<rect class=\"{class}\" x=\"{x}\" y=\"60\" width=\"12\" height=\"12\"/>\
             <text x=\"{text_x}\" y=\"70\">{}</text>",
                escape(&name)
            ),
        );
        x += 40.0 + 7.0 * count(name.len());
    }
}

fn draw_grid(svg: &mut String, scale: &Scale, bottom: f64) {
    for tick in scale.ticks() {
        let x = scale.x(tick);
        let class = if (tick - 1.0).abs() < f64::EPSILON { "one" } else { "grid" };
        let (from, label_y) = (TOP - 6.0, TOP - 10.0);
        line(
            svg,
            format_args!(
                "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{from}\" y2=\"{bottom}\"/>\
             <text class=\"small\" x=\"{x:.1}\" y=\"{label_y}\" text-anchor=\"middle\">{tick}x</text>"
            ),
        );
    }
}

fn line(svg: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(svg, "{text}").expect("a string takes all");
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::line;

    /// Whether each tag is closed, in order.
    fn is_well_formed(svg: &str) -> bool {
        let mut open = Vec::new();
        for part in svg.split('<').skip(1) {
            let Some((tag, text)) = part.split_once('>') else { return false };
            if text.contains('>') {
                return false;
            }
            let name = |tag: &str| tag.split([' ', '\n']).next().map(str::to_owned);
            if let Some(closed) = tag.strip_prefix('/') {
                if open.pop() != name(closed) {
                    return false;
                }
            } else if !tag.ends_with('/') {
                open.extend(name(tag));
            }
            if tag.matches('"').count() % 2 != 0 {
                return false;
            }
        }
        open.is_empty()
    }

    #[test]
    fn the_chart_is_well_formed_and_has_a_bar_per_series() {
        let of = |framework, ns| line(framework, Workload::FanIn, 1, ns);
        let lines = [
            of(Subject::GgmlAgent, 40.0),
            of(Subject::TokioMpsc, 100.0),
            of(Subject::Kanal, 30.0),
            of(Subject::Xtra, 600.0),
        ];
        let groups = groups(&Summary::new(&lines));
        assert_eq!(groups.len(), 1);
        let svg = render(&groups);
        assert!(is_well_formed(&svg), "{svg}");
        for text in [">fan_in<", ">0.40<", ">0.30 kanal<", ">6.00<", ">quickest raw channel<"] {
            assert!(svg.contains(text), "{text} in {svg}");
        }
        assert!(!svg.contains("NaN"), "{svg}");
        assert!(is_well_formed(&render(&[])));
        assert!(!is_well_formed("<svg><g></svg>"));
    }

    #[test]
    fn what_would_break_the_markup_is_escaped() {
        let bars = vec![(Series::Ours, 0.5, " <&>".to_owned())];
        assert!(is_well_formed(&render(&[Group { title: "a<b".to_owned(), bars }])));
    }
}
