//! Markdown tables and the numbers in them.

/// A table whose first column is text and whose others are numbers.
pub(crate) fn render(headers: &[String], rows: &[Vec<String>]) -> String {
    let mut text = row(headers);
    text.push_str("|---|");
    text.push_str(&"--:|".repeat(headers.len().saturating_sub(1)));
    text.push('\n');
    for cells in rows {
        text.push_str(&row(cells));
    }
    text
}

fn row(cells: &[String]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// A number with as many digits as mean something, thousands apart: `0`, `0.36`, `12`, `1,234`.
pub(crate) fn number(value: f64) -> String {
    if value.abs() < 10.0 && value.fract() != 0.0 {
        let digits = if value.abs() < 1.0 { 2 } else { 1 };
        return format!("{value:.digits$}");
    }
    let whole = format!("{value:.0}");
    let (sign, digits) = whole.strip_prefix('-').map_or(("", &*whole), |digits| ("-", digits));
    let mut text = sign.to_owned();
    for (i, digit) in digits.char_indices() {
        if i != 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `number`, or a dash where there is none.
pub(crate) fn number_or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), number)
}

/// A ratio: `0.36x`.
pub(crate) fn ratio_or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}x"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_mean_something() {
        let cases = [
            (0.0, "0"),
            (0.364, "0.36"),
            (1.26, "1.3"),
            (12.4, "12"),
            (999.6, "1,000"),
            (1_234_567.0, "1,234,567"),
            (-12_345.0, "-12,345"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
        assert_eq!(number_or_dash(None), "-");
        assert_eq!(ratio_or_dash(Some(0.5)), "0.50x");
    }

    #[test]
    fn a_table_has_a_line_per_row_and_escapes_what_would_break_it() {
        let cells =
            |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let text = render(&cells(&["a", "b"]), &[cells(&["x|y", "1"])]);
        assert_eq!(text, "| a | b |\n|---|--:|\n| x\\|y | 1 |\n");
    }
}
