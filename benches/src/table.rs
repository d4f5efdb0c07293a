//! The table that is printed.

/// One line: what, ours, the peer's.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: f64,
    pub(crate) peer: Option<f64>,
    /// Whether larger is better
    pub(crate) more: bool,
}

/// Prints rows with the ratio in which ours is better (above 1) or worse than the peer's.
pub(crate) fn print(rows: &[Row], peer: &str) {
    println!("| measure | unit | portolan | {peer} | ratio |");
    println!("|---|---|---:|---:|---:|");
    for row in rows {
        let peer = row.peer.map_or("-".to_owned(), |peer| format!("{peer:.1}"));
        let ratio = row.peer.map_or("-".to_owned(), |peer| {
            let ratio = if row.more {
                row.ours / peer
            } else {
                peer / row.ours
            };
            format!("{ratio:.2}")
        });
        println!(
            "| {} | {} | {:.1} | {peer} | {ratio} |",
            row.what, row.unit, row.ours
        );
    }
    println!("Ratios above 1 are in our favour.");
}
