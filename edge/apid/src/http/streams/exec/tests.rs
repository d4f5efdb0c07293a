use super::*;
use tokio::sync::mpsc;

#[test]
fn outcomes_are_told_as_upstream_does() {
    assert_eq!(
        non_zero(3).to_string(),
        "{\"details\":{\"causes\":[{\"message\":\"3\",\"reason\":\"ExitCode\"}]},\
         \"message\":\"command terminated with non-zero exit code: command terminated with exit \
         code 3\",\"metadata\":{},\"reason\":\"NonZeroExitCode\",\"status\":\"Failure\"}"
    );
    assert_eq!(
        failure("error executing command in container: x")["message"],
        "Internal error occurred: error executing command in container: x"
    );
}

#[tokio::test]
async fn sizes_are_read_however_they_are_cut() {
    let (sizes, mut from) = mpsc::channel(8);
    let (to, mut resized) = mpsc::channel(8);
    for piece in [
        "{\"Width\":80,\"Hei",
        "ght\":24}\n{\"Width\":1",
        "00,\"Height\":30}{\"Width\":101,\"Height\":31}",
        "nonsense",
    ] {
        sizes
            .send(Bytes::from_static(piece.as_bytes()))
            .await
            .unwrap();
    }
    drop(sizes);
    resize_all(&mut from, &to).await;
    drop(to);
    let mut all = Vec::new();
    while let Some(TerminalSize { width, height }) = resized.recv().await {
        all.push((width, height));
    }
    // Of those that come at once the last one counts.
    assert_eq!(all, [(80, 24), (101, 31)]);
}

#[test]
fn errors_go_with_the_output_on_a_terminal() {
    let query = |text: &str| crate::http::reply::parse_query(text);
    let asked = streams(&query("stdout=true&stderr=1&tty=true"), "c");
    let asked = asked.ok().unwrap();
    assert!(asked.stdout && asked.tty && !asked.stderr && !asked.stdin);
    assert!(streams(&query("command=x"), "c").is_err());
}
