//! What the programs print: lines on standard output, and tables with aligned columns.

use std::io::Write;

/// Prints one line to standard output. A closed pipe is the reader's choice and no error here.
pub fn line(text: impl AsRef<str>) {
    let mut stdout = std::io::stdout().lock();
    // Nothing sensible can be done when nobody reads the report.
    let _ = writeln!(stdout, "{}", text.as_ref()).and_then(|()| stdout.flush());
}

/// Rows of text cells, laid out as a Markdown table with aligned columns.
#[derive(Debug, Default, Clone)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this header.
    #[must_use]
    pub fn new(header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(ToString::to_string).collect()] }
    }

    /// Adds a row, which must have as many cells as the header.
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.rows[0].len());
        self.rows.push(cells);
    }

    /// The table as Markdown, without a line end after the last row. The first column is aligned to
    /// the left, the others to the right.
    #[must_use]
    pub fn markdown(&self) -> String {
        let columns = self.rows[0].len();
        let width = |column: usize| {
            self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(3)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut lines = Vec::with_capacity(self.rows.len() + 1);
        for (index, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> = (0..columns)
                .map(|column| match column {
                    0 => format!("{:<width$}", row[column], width = widths[column]),
                    _ => format!("{:>width$}", row[column], width = widths[column]),
                })
                .collect();
            lines.push(format!("| {} |", cells.join(" | ")));
            if index == 0 {
                let rule = |column: usize| match column {
                    0 => "-".repeat(widths[column]),
                    _ => format!("{}:", "-".repeat(widths[column] - 1)),
                };
                let rules: Vec<String> = (0..columns).map(rule).collect();
                lines.push(format!("| {} |", rules.join(" | ")));
            }
        }
        lines.join("\n")
    }
}

/// The middle value; of an even count the mean of the two in the middle; 0 of none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_aligns_its_columns() {
        let mut table = Table::new(&["name", "n"]);
        table.row(vec!["a".into(), "1".into()]);
        table.row(vec!["longer".into(), "12345".into()]);
        let expected =
            "| name   |     n |\n| ------ | ----: |\n| a      |     1 |\n| longer | 12345 |";
        assert_eq!(table.markdown(), expected);
    }

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }
}
