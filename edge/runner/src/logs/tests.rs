use super::*;
use crate::LogOptions;
use std::time::Duration;

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("runner-logs-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    folder
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::default().plus_seconds(seconds)
}

async fn all(path: &Path, options: LogOptions) -> String {
    let mut pieces = stream(path.to_owned(), options, None);
    let mut text = Vec::new();
    while let Some(piece) = pieces.recv().await {
        text.extend_from_slice(&piece);
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_log_is_read_back_by_tail_time_and_size() {
    let folder = folder("read");
    let log = Log::create(&folder, 0, 1 << 20).unwrap();
    for n in 0..5 {
        log.line(at(n), Output::Stdout, format!("line {n}").as_bytes(), true);
    }
    log.line(at(5), Output::Stderr, b"half ", false);
    log.line(at(5), Output::Stderr, b"whole", true);
    let read = |options| all(&log.path, options);
    let whole = read(LogOptions::default()).await;
    assert_eq!(
        whole,
        "line 0\nline 1\nline 2\nline 3\nline 4\nhalf whole\n"
    );
    let tail = LogOptions {
        tail_lines: Some(3),
        ..LogOptions::default()
    };
    assert_eq!(read(tail).await, "line 4\nhalf whole\n");
    let none = LogOptions {
        tail_lines: Some(0),
        ..LogOptions::default()
    };
    assert_eq!(read(none).await, "");
    let since = LogOptions {
        since: Some(at(4)),
        timestamps: true,
        ..LogOptions::default()
    };
    assert_eq!(
        read(since).await,
        "1970-01-01T00:00:04.000000Z line 4\n1970-01-01T00:00:05.000000Z half whole\n"
    );
    let limit = LogOptions {
        limit_bytes: Some(9),
        ..LogOptions::default()
    };
    assert_eq!(read(limit).await, "line 0\nli");
    assert_eq!(
        last_words(&log.path),
        "line 0\nline 1\nline 2\nline 3\nline 4\nhalf \nwhole"
    );
    fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_log_is_bounded_and_followed_over_its_rotation() {
    let folder = folder("follow");
    let log = Log::create(&folder, 3, 400).unwrap();
    log.line(at(0), Output::Stdout, b"first", true);
    let options = LogOptions {
        follow: true,
        ..LogOptions::default()
    };
    let mut pieces = stream(log.path.clone(), options, Some(log.changed.subscribe()));
    assert_eq!(pieces.recv().await.unwrap(), "first\n");
    for n in 0..50 {
        log.line(at(n), Output::Stdout, format!("{n}").as_bytes(), true);
        assert_eq!(pieces.recv().await.unwrap(), format!("{n}\n"));
    }
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    assert!(size(&log.path) <= 400 && size(&rotated(&log.path)) <= 400);
    drop(log);
    let end = tokio::time::timeout(Duration::from_secs(5), pieces.recv()).await;
    assert_eq!(end.unwrap(), None, "the stream ends with the run");
    Log::create(&folder, 5, 400).unwrap();
    assert!(
        !file_of(&folder, 3).exists(),
        "only the last run before this one is kept"
    );
    fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_pipe_becomes_lines() {
    let folder = folder("pump");
    let log = Log::create(&folder, 0, 1 << 20).unwrap();
    let mut input = b"one\n\ntwo\r\n".to_vec();
    input.extend(std::iter::repeat_n(b'x', LINE_BYTES + 10));
    pump(
        &input[..],
        Output::Stdout,
        log.clone(),
        Arc::default(),
        || at(0),
    )
    .await;
    let text = all(&log.path, LogOptions::default()).await;
    assert_eq!(text.len(), input.len() + 1, "an unfinished line is ended");
    assert!(text.starts_with("one\n\ntwo\r\nxxx") && text.ends_with("x\n"));
    fs::remove_dir_all(folder).unwrap();
}
