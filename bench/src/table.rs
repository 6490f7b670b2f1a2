//! Tables in Markdown.

/// Prints rows under a header, columns aligned: the first to the left, the others to the right.
#[expect(clippy::print_stdout, reason = "it is what the benchmark is run for")]
pub fn print(header: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<_> = header.iter().map(|title| title.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
    };
    line(&header.iter().map(ToString::to_string).collect::<Vec<_>>());
    let rules = widths.iter().enumerate().map(|(column, &width)| match column {
        0 => "-".repeat(width),
        _ => format!("{}:", "-".repeat(width - 1)),
    });
    line(&rules.collect::<Vec<_>>());
    rows.iter().for_each(|row| line(row));
}

/// The median.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}
