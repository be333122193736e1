//! Aligned Markdown tables.

use std::fmt::Write as _;

/// A table whose first column is left-aligned and whose others are numbers.
#[derive(Debug)]
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    pub(crate) fn new(heads: &[&str]) -> Self {
        Self(vec![heads.iter().map(|head| (*head).to_owned()).collect()])
    }

    /// Adds a row; missing cells are empty.
    pub(crate) fn push(&mut self, row: Vec<String>) {
        self.0.push(row);
    }

    pub(crate) fn render(&self) -> String {
        let n_columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
        let width = |column: usize| {
            self.0.iter().map(|row| cell(row, column).chars().count()).max().unwrap_or(0).max(3)
        };
        let widths: Vec<usize> = (0..n_columns).map(width).collect();
        let mut text = String::new();
        for (nth, row) in self.0.iter().enumerate() {
            for (column, width) in widths.iter().copied().enumerate() {
                let cell = cell(row, column);
                let pad = " ".repeat(width - cell.chars().count());
                let (before, after) = if column == 0 { ("", &*pad) } else { (&*pad, "") };
                write!(text, "| {before}{cell}{after} ").expect("invariant: a String takes all");
            }
            text.push_str("|\n");
            if nth == 0 {
                for (column, width) in widths.iter().copied().enumerate() {
                    let colon = if column == 0 { "-" } else { ":" };
                    write!(text, "|{}{colon}", "-".repeat(width + 1))
                        .expect("invariant: a String takes all");
                }
                text.push_str("|\n");
            }
        }
        text
    }
}

/// A number with about three digits that count.
pub(crate) fn short(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 0.1 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    if decimals == 0 { grouped(&text) } else { text }
}

/// `1234567` as `1,234,567`.
fn grouped(digits: &str) -> String {
    let mut text = String::new();
    let n = digits.chars().count();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (n - index).is_multiple_of(3) && digit.is_ascii_digit() {
            text.push(',');
        }
        text.push(digit);
    }
    text.replace("-,", "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits_and_thousands_are_apart() {
        let cases = [
            (1_234_567.8, "1,234,568"),
            (999.4, "999"),
            (12.34, "12.3"),
            (0.204, "0.20"),
            (0.0123, "0.012"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["what", "n"]);
        table.push(vec!["locks".to_owned(), "12".to_owned()]);
        assert_eq!(table.render(), "| what  |   n |\n|-------|----:|\n| locks |  12 |\n");
    }
}
