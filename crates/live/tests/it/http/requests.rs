//! What the routes answer about a document that agents and people change.

use std::time::Duration;

use ggml_agent_core::lease::OnBusy;
use ggml_agent_doc::{Client, Edit, Lock};
use serde_json::{Value, json};

use super::client::{TEXT, UNIX_MS_AT_ZERO, Up, agent};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_base_says_what_there_is() {
    let up = Up::new().await;
    let base = up.get("").await;
    let room = format!("report@{}", base["epoch"]);
    assert_eq!(base["room"], room.as_str());
    assert_eq!(base["you"], json!({ "id": "@Ana", "name": "Ana", "kind": "person" }));
    assert_eq!((&base["seq"], &base["title"]), (&json!(0), &json!("report.md")));
    let plan = json!({
        "id": "s2", "title": "Plan", "level": 2, "order": "000001", "version": 0, "bytes": 15,
        "mode": "optimistic", "archived": false, "lock": null, "reserved": [],
    });
    assert_eq!(base["sections"][1], plan);
    assert_eq!(base["sections"].as_array().unwrap().len(), 3);
    let whole = up.of("Ana", "GET", "/text", &Value::Null).await;
    assert_eq!((whole.status, whole.body.as_str()), (200, TEXT));
    assert!(whole.head.contains("cache-control: no-store"), "{}", whole.head);
    let other = up.of("An%0Aa", "GET", "", &Value::Null).await;
    assert_eq!(other.problem(), "bad-request");
}

#[tokio::test]
async fn versions_and_differences_and_the_log_agree() {
    let up = Up::new().await;
    let section = "s2".parse().unwrap();
    let texts = ["## Plan\n\nTwo, and a 😀.\n", "## Plan\n\nA 😀.\n"];
    for (base, text) in (0..).zip(texts) {
        let edit = Edit::optimistic(section, base, text);
        up.document.edit(&agent("writer"), edit).await.unwrap();
    }
    let version = async |n: u64| up.get(&format!("/sections/s2?version={n}")).await;
    assert_eq!(version(0).await["text"], "## Plan\n\nTwo.\n\n");
    assert_eq!(version(1).await["text"], texts[0]);
    let newest = json!({ "id": "s2", "version": 2, "text": texts[1] });
    assert_eq!(up.get("/sections/s2").await, newest);
    for path in
        ["/sections/s2?version=3", "/sections/s4", "/sections/2", "/diff?section=s2&from=0&to=9"]
    {
        assert_eq!(up.of("Ana", "GET", path, &Value::Null).await.status, 404, "{path}");
    }
    assert_eq!(
        up.of("Ana", "GET", "/diff?section=s2", &Value::Null).await.problem(),
        "bad-request"
    );

    let diff = up.get("/diff?section=s2&from=0&to=2").await;
    let runs = diff["runs"].as_array().unwrap();
    let side = |gone: &str| -> String {
        runs.iter().filter(|run| run["op"] != gone).filter_map(|run| run["text"].as_str()).collect()
    };
    assert_eq!(
        (side("insert").as_str(), side("delete").as_str()),
        ("## Plan\n\nTwo.\n\n", texts[1])
    );

    let log = up.get("/log?limit=1").await;
    assert_eq!(log["more"], true);
    let entry = &log["entries"][0];
    let at = entry["at"].as_u64().unwrap();
    assert!((UNIX_MS_AT_ZERO..UNIX_MS_AT_ZERO + 600_000).contains(&at), "{at}");
    let writer = json!({ "id": "writer", "name": "writer", "kind": "agent" });
    assert_eq!((&entry["author"], &entry["what"]), (&writer, &json!("edit")));
    assert_eq!((&entry["seq"], &entry["version"]), (&json!(2), &json!(2)));
    let older = up.get("/log?before=2&section=s2").await;
    assert_eq!(older["more"], false);
    let first = &older["entries"][0];
    // In UTF-16, of which the smile has two units.
    let grown = texts[0].encode_utf16().count() as i64 - "## Plan\n\nTwo.\n\n".len() as i64;
    let (added, removed) = (first["added"].as_i64().unwrap(), first["removed"].as_i64().unwrap());
    assert_eq!((added - removed, &first["seq"]), (grown, &json!(1)));
    assert_eq!(up.get("/log?section=s1").await, json!({ "entries": [], "more": false }));
}

#[tokio::test]
async fn a_lock_is_taken_renewed_and_given_back() {
    let up = Up::new().await;
    let wish = json!({ "sections": ["s1", "s2"], "lease_ms": 60_000 });
    let taken = up.of("Ana", "POST", "/locks", &wish).await;
    assert_eq!(taken.status, 200, "{}", taken.body);
    let taken = taken.json();
    assert_eq!(taken["locks"][1]["section"], "s2");
    assert!(taken["locks"][1]["until_ms"].as_u64().unwrap() <= 60_000);
    let token = taken["locks"][1]["token"].as_u64().unwrap();

    let other = json!({ "sections": ["s2", "s3"], "lease_ms": 1 });
    let busy = up.of("Ben", "POST", "/locks", &other).await;
    assert_eq!((busy.status, busy.problem().as_str()), (409, "locked"));
    assert_eq!(busy.json()["holder"]["id"], "@Ana");
    let both = json!({ "sections": ["s2"], "lease_ms": 60_000, "preempt": true });
    assert_eq!(up.of("Ben", "POST", "/locks", &both).await.problem(), "locked");
    let base = up.get("").await;
    assert_eq!(base["sections"][2]["lock"], Value::Null, "all or none");
    assert_eq!(base["sections"][1]["lock"]["holder"], base["you"]["id"]);

    let renewal = json!({ "token": token, "lease_ms": 60_000 });
    assert_eq!(up.of("Ana", "PUT", "/locks/s2", &renewal).await.json()["token"], token);
    assert_eq!(up.of("Ben", "PUT", "/locks/s2", &renewal).await.problem(), "fenced");
    let stale = format!("/locks/s2?token={}", token + 7);
    assert_eq!(up.of("Ana", "DELETE", &stale, &Value::Null).await.problem(), "fenced");
    let end = format!("/locks/s2?token={token}");
    assert_eq!(up.of("Ana", "DELETE", &end, &Value::Null).await.status, 204);
    assert_eq!(up.of("Ana", "DELETE", &end, &Value::Null).await.problem(), "fenced");
    assert_eq!(up.of("Ben", "DELETE", "/locks/s1?force=1", &Value::Null).await.status, 204);
    assert!(up.get("").await["sections"][0]["lock"].is_null(), "forced");

    for (path, body, expected) in [
        ("/locks", json!({ "sections": ["s9"], "lease_ms": 1 }), "no-section"),
        ("/locks", json!({ "sections": ["x"], "lease_ms": 1 }), "no-section"),
        ("/locks", json!({ "sections": [], "lease_ms": 1 }), "refused"),
        ("/locks", json!({ "sections": ["s1"], "lease_ms": 0 }), "bad-request"),
        ("/locks", json!({ "sections": ["s1"], "lease_ms": 999_999_999 }), "bad-request"),
    ] {
        assert_eq!(up.of("Ana", "POST", path, &body).await.problem(), expected, "{body}");
    }
    assert_eq!(up.of("Ana", "DELETE", "/locks/s1", &Value::Null).await.problem(), "bad-request");
    assert_eq!(up.of("Ana", "DELETE", "/locks/s9?force=1", &Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_person_takes_a_lock_from_an_agent_after_its_grace() {
    let up = Up::new().await;
    let section = "s2".parse().unwrap();
    let writer = Client::unwatched(agent("writer"));
    let held = up.document.lock(&writer, Lock::one(section, LONG, OnBusy::Deny)).await.unwrap();
    let wish = json!({ "sections": ["s2"], "lease_ms": 60_000, "preempt": true });
    let answer = up.of("Ana", "POST", "/locks", &wish).await;
    assert_eq!((answer.status, answer.json()), (202, json!({ "grace_ms": 2000 })));
    // The agent saves what it has, and gives it back.
    up.document.release(&writer, section, held[0].token).await.unwrap();
    let lock = &up.get("").await["sections"][1]["lock"];
    assert_eq!((&lock["holder"], &lock["kind"]), (&json!("@Ana"), &json!("person")));
    assert!(lock["token"].as_u64().unwrap() > held[0].token.as_u64());
}
