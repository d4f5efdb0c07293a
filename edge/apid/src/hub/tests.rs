use super::*;
use crate::store::tests::platter::Platter;
use api::{HistoryLimits, State};
use model::View;
use serde_json::json;

fn hub(platter: &Platter) -> Arc<Hub> {
    let store = Store::create(Box::new(platter.clone()), std::iter::empty(), 0).unwrap();
    let engine = Engine::new(State::default(), 0);
    let registry = engine.registry().clone();
    let committed = Committed::new(State::default(), registry, 0, HistoryLimits::default());
    let settings = Settings {
        service_cidrs: Vec::new(),
        node_ports: (30000, 32767),
        loopback_endpoints: false,
    };
    let hub = Arc::new(Hub::new(settings, engine, committed));
    let writer = hub.clone();
    std::thread::spawn(move || writer.run(store));
    hub
}

async fn write(hub: &Hub, name: &str) -> Result<(), ApiError> {
    let data = json!({"text": "x".repeat(20_000)});
    let value = json!({"metadata": {"name": name, "namespace": "n"}, "data": data});
    hub.seed(vec![(Resource::CONFIG_MAPS, value)]).await
}

fn names(hub: &Hub) -> Vec<String> {
    let all = hub.committed().state().list(Resource::CONFIG_MAPS, None);
    all.iter().map(|one| one.meta.name.to_string()).collect()
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_takes_them_again() {
    let platter = Platter::default();
    let hub = hub(&platter);
    write(&hub, "a").await.unwrap();
    platter.inner().room = Some(30_000);
    let mut refused = None;
    for n in 0..100 {
        refused = write(&hub, &format!("b{n}")).await.err();
        if refused.is_some() {
            break;
        }
    }
    let refused = refused.unwrap();
    assert_eq!(refused.code, 507, "{}", refused.message);
    assert!(refused.message.contains("free space on that disk"));
    assert!(!hub.is_healthy());
    assert_eq!(names(&hub)[0], "a", "reads go on");
    let before = hub.committed().version();
    assert_eq!(write(&hub, "c").await.map_err(|e| e.code), Err(507));
    platter.inner().room = None;
    while let Err(error) = write(&hub, "d").await {
        assert_eq!(error.code, 507);
        tokio::time::sleep(RETRY / 10).await;
    }
    assert!(hub.is_healthy());
    let now = names(&hub);
    assert!(
        now.contains(&"d".to_owned()) && !now.contains(&"c".to_owned()),
        "{now:?}"
    );
    assert!(hub.committed().version() > before);
    hub.stop();
}
