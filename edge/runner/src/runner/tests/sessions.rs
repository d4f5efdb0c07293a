//! `exec` and `attach`.

use super::*;
use crate::Outcome;

/// What a session printed, its errors, and its outcome.
async fn all(session: Session) -> (String, String, Outcome) {
    let read = |from: Option<mpsc::Receiver<Bytes>>| async move {
        let mut text = Vec::new();
        if let Some(mut from) = from {
            while let Some(piece) = from.recv().await {
                text.extend_from_slice(&piece);
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    };
    let (out, err) = tokio::join!(read(session.stdout), read(session.stderr));
    (out, err, session.outcome.await.unwrap())
}

fn words(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

fn streams(stdin: bool, tty: bool) -> Streams {
    Streams {
        container: "main".to_owned(),
        stdin,
        stdout: true,
        stderr: !tty,
        tty,
    }
}

#[tokio::test]
async fn commands_run_with_the_containers_environment() {
    let bed = bed(&["any=sh"]);
    let mut container = shell("sleep 600");
    container["env"] = json!([{"name": "COLOR", "value": "blue"}]);
    bed.pod("p", json!({"containers": [container]}));
    bed.until("p", |pod| pod["status"]["phase"] == "Running")
        .await;
    let exec =
        |script: &str, streams: Streams| bed.runner.exec("dev", "p", &words(script), &streams);

    let script = "echo $COLOR $PWD; echo wrong >&2; exit 3";
    let (out, err, outcome) = all(exec(script, streams(false, false))).await;
    assert!(
        out.starts_with("blue ") && out.ends_with("/roots/main\n"),
        "{out}"
    );
    assert_eq!((err.as_str(), outcome), ("wrong\n", Outcome::Exited(3)));

    let mut session = exec("cat; echo end", streams(true, false));
    let stdin = session.stdin.take().unwrap();
    stdin.send(Bytes::from_static(b"in ")).await.unwrap();
    drop(stdin);
    assert_eq!(all(session).await.0, "in end\n");

    let mut session = exec(
        "stty size; test -t 0 && test -t 2 && read x && stty size",
        streams(true, true),
    );
    let mut first = session
        .stdout
        .as_mut()
        .unwrap()
        .recv()
        .await
        .unwrap()
        .to_vec();
    while !first.ends_with(b"\n") {
        first.extend(session.stdout.as_mut().unwrap().recv().await.unwrap());
    }
    session
        .resize
        .as_ref()
        .unwrap()
        .send((81, 25))
        .await
        .unwrap();
    // The task that resizes takes its time; a size that has come is asked for until it is right.
    session
        .stdin
        .as_ref()
        .unwrap()
        .send(Bytes::from_static(b"\n"))
        .await
        .unwrap();
    let (_, _, outcome) = all(session).await;
    assert_eq!(outcome, Outcome::Exited(0));

    let none = bed
        .runner
        .exec("dev", "p", &["no-such".to_owned()], &streams(false, false));
    let (_, _, Outcome::Failed(why)) = all(none).await else {
        panic!("a program that is not there cannot have run");
    };
    assert!(why.contains("executable file not found"), "{why}");
    bed.end().await;
}

#[tokio::test]
async fn a_command_ends_with_its_client_and_with_its_container() {
    let bed = bed(&["any=sh"]);
    bed.pod(
        "p",
        json!({"terminationGracePeriodSeconds": 0, "containers": [shell("sleep 600")]}),
    );
    bed.until("p", |pod| pod["status"]["phase"] == "Running")
        .await;
    let mark = bed.folder.join("pid");
    let script = format!(
        "echo $$ > {0}.part; mv {0}.part {0}; sleep 600",
        mark.display()
    );
    let session = bed
        .runner
        .exec("dev", "p", &words(&script), &streams(false, false));
    let pid: u32 = loop {
        match std::fs::read_to_string(&mark) {
            Ok(text) => break text.trim().parse().unwrap(),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    drop(session);
    let gone = async {
        while std::path::Path::new(&format!("/proc/{pid}")).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();

    let session = bed
        .runner
        .exec("dev", "p", &words("sleep 600"), &streams(false, false));
    bed.delete("p", 0);
    assert_eq!(all(session).await.2, Outcome::Exited(137));
    assert!(!bed.runner.is_running("dev", "p", "main"));
    bed.end().await;
}

#[tokio::test]
async fn clients_attach_to_the_process_itself() {
    let bed = bed(&["any=sh"]);
    let mut container = shell("read x; echo got $x; read y || echo closed");
    container["stdin"] = true.into();
    container["stdinOnce"] = true.into();
    bed.pod(
        "p",
        json!({"restartPolicy": "Never", "containers": [container]}),
    );
    bed.until("p", |pod| pod["status"]["phase"] == "Running")
        .await;
    let mut session = bed.runner.attach("dev", "p", &streams(true, false));
    let stdin = session.stdin.take().unwrap();
    stdin.send(Bytes::from_static(b"word\n")).await.unwrap();
    drop(stdin);
    let (out, _, outcome) = all(session).await;
    assert_eq!(
        (out.as_str(), outcome),
        ("got word\nclosed\n", Outcome::Exited(0))
    );
    let ended = bed
        .until("p", |pod| pod["status"]["phase"] == "Succeeded")
        .await;
    assert_eq!(
        ended["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"],
        0
    );
    assert_eq!(
        bed.log("p", LogOptions::default()).await,
        "got word\nclosed\n"
    );
    bed.end().await;
}
