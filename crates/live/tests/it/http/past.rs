//! Who wrote what, what is proposed, and how it is taken back.

use ggml_agent_doc::{Command, Edit, Op, SectionId};
use serde_json::{Value, json};

use super::client::{Up, agent};

fn plan() -> SectionId {
    "s2".parse().unwrap()
}

/// Replaces words of the section `Plan`, as an agent.
async fn replace(up: &Up, who: &str, old: &str, new: &str) {
    let op = Op::StrReplace { old: old.to_owned(), new: new.to_owned(), expect: 1 };
    up.document.command(&agent(who), Command::new(plan(), op)).await.unwrap();
}

async fn text(up: &Up) -> String {
    up.get("/sections/s2").await["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn d18_blame_counts_as_javascript_does() {
    let up = Up::new().await;
    replace(&up, "writer", "Two", "Two 😀").await;
    let blame = up.get("/blame/s2").await;
    let first = json!({ "id": "server", "name": "import", "kind": "server" });
    let writer = json!({ "id": "writer", "name": "writer", "kind": "agent" });
    assert_eq!(blame["version"], 1);
    let runs = blame["runs"].as_array().unwrap();
    let sum: u64 = runs.iter().map(|run| run["len"].as_u64().unwrap()).sum();
    assert_eq!(sum, text(&up).await.encode_utf16().count() as u64);
    let of_writer: Vec<&Value> = runs.iter().filter(|run| run["seq"] == 1).collect();
    assert_eq!(of_writer.last().unwrap()["author"], writer);
    assert_eq!(runs[0], json!({ "len": runs[0]["len"], "author": first, "seq": 0 }));
    for path in ["/blame/s9", "/blame/x"] {
        assert_eq!(up.of("Ana", "GET", path, &Value::Null).await.problem(), "no-section");
    }
}

#[tokio::test]
async fn d20_a_suggestion_is_listed_accepted_and_rejected() {
    let up = Up::new().await;
    assert_eq!(up.get("/suggestions").await, json!([]));
    let order = |text: &str| {
        let op = json!({ "kind": "suggest", "text": text, "note": "why not" });
        json!({ "section": "s2", "base_ver": 0, "op": op })
    };
    for (n, text) in
        [(1, "## Plan\n\nDos.\n\n"), (2, "## Plan\n\nTwo!\n\n"), (3, "## Plan\n\nDue.\n\n")]
    {
        let made = up.of("Ana", "POST", "/ops", &order(text)).await;
        assert_eq!((made.status, made.json()), (200, json!({ "suggestion": n })));
    }
    let n = up.document.look(|document, _| document.n_suggestions()).await.unwrap();
    assert_eq!(n, 3);
    assert_eq!(text(&up).await, "## Plan\n\nTwo.\n\n", "it changes nothing yet");
    let list = up.get("/suggestions").await;
    let one = &list[0];
    let ana = json!({ "id": "@Ana", "name": "Ana", "kind": "person" });
    assert_eq!((&one["id"], &one["author"], &one["base"]), (&json!(1), &ana, &json!(0)));
    assert_eq!((&one["note"], &one["stale"]), (&json!("why not"), &Value::Null));
    let runs = one["runs"].as_array().unwrap();
    let new = runs.iter().filter(|run| run["op"] != "delete");
    let new: String = new.filter_map(|run| run["text"].as_str()).collect();
    assert_eq!(new, "## Plan\n\nDos.\n\n");

    let done = up.of("Ben", "POST", "/suggestions/1/accept", &Value::Null).await;
    assert_eq!((done.status, done.json()), (200, json!({ "seq": 1, "version": 1 })));
    assert_eq!(text(&up).await, "## Plan\n\nDos.\n\n");
    assert_eq!(up.get("/log").await["entries"][0]["what"], "suggestion");
    // It was about the same word.
    let stale = up.of("Ben", "POST", "/suggestions/3/accept", &Value::Null).await;
    assert_eq!((stale.status, stale.problem().as_str()), (409, "stale-suggestion"));
    let third = &up.get("/suggestions").await[1];
    assert_eq!((&third["stale"], &third["runs"]), (&json!("changed"), &json!([])));
    for n in [2, 3] {
        let path = format!("/suggestions/{n}/reject");
        assert_eq!(up.of("Ben", "POST", &path, &Value::Null).await.status, 204);
    }
    assert_eq!(up.get("/suggestions").await, json!([]));
    for (path, expected) in [
        ("/suggestions/1/accept", "no-suggestion"),
        ("/suggestions/2/reject", "no-suggestion"),
        ("/suggestions/one/accept", "bad-request"),
    ] {
        assert_eq!(up.of("Ben", "POST", path, &Value::Null).await.problem(), expected, "{path}");
    }
}

#[tokio::test]
async fn d20_a_text_that_is_late_becomes_a_suggestion_if_it_says_so() {
    let up = Up::new().await;
    replace(&up, "writer", "Plan", "The plan").await;
    let op =
        json!({ "kind": "replace_section", "text": "## Plan\n\nDos.\n\n", "on_stale": "suggest" });
    let order = json!({ "section": "s2", "base_ver": 0, "op": op });
    let made = up.of("Ana", "POST", "/ops", &order).await;
    assert_eq!((made.status, made.json()), (200, json!({ "suggestion": 1 })));
    let done = up.of("Ana", "POST", "/suggestions/1/accept", &Value::Null).await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(text(&up).await, "## The plan\n\nDos.\n\n", "both");
}

#[tokio::test]
async fn d19_updates_are_taken_back_by_number_by_author_and_to_a_version() {
    let up = Up::new().await;
    replace(&up, "one", "Two", "Dos").await;
    replace(&up, "two", "Plan", "The plan").await;
    let data = Edit::optimistic("s3".parse().unwrap(), 0, "## Data\n\nTres.\n");
    up.document.edit(&agent("one"), data).await.unwrap();
    let revert = async |body: Value| up.of("Ana", "POST", "/revert", &body).await;

    let done = revert(json!({ "seqs": [1] })).await;
    assert_eq!(done.json(), json!({ "seq": 4, "reverted": [1], "conflicts": [] }));
    assert_eq!(text(&up).await, "## The plan\n\nTwo.\n\n", "what came later stays");
    assert_eq!(revert(json!({ "seqs": [1] })).await.problem(), "nothing");
    // Of this section there is nothing left of that author; of the whole document there is.
    let here = json!({ "author": "one", "section": "s2" });
    assert_eq!(revert(here).await.problem(), "nothing");
    let done = revert(json!({ "author": "one" })).await;
    assert_eq!(done.json(), json!({ "seq": 5, "reverted": [3], "conflicts": [] }));
    assert_eq!(up.get("/sections/s3").await["text"], "## Data\n\nThree.\n");

    let done = revert(json!({ "section": "s2", "to_version": 0 })).await;
    assert_eq!(done.json(), json!({ "seq": 6, "reverted": [1, 2, 4], "conflicts": [] }));
    assert_eq!(text(&up).await, "## Plan\n\nTwo.\n\n");
    for (body, expected) in [
        (json!({ "section": "s2", "to_version": 99 }), "no-version"),
        (json!({ "author": "one", "section": "s9" }), "no-section"),
        (json!({ "seqs": [0] }), "forgotten"),
        (json!({ "seqs": [] }), "nothing"),
        (json!({ "seqs": [1], "author": "one" }), "bad-request"),
        (json!({}), "bad-request"),
    ] {
        assert_eq!(revert(body.clone()).await.problem(), expected, "{body}");
    }
}

#[tokio::test]
async fn d19_what_others_have_changed_since_or_hold_is_left_alone_and_listed() {
    let up = Up::new().await;
    replace(&up, "one", "Two", "Dos").await;
    replace(&up, "two", "Dos", "Due").await;
    let left = up.of("Ana", "POST", "/revert", &json!({ "seqs": [1] })).await.json();
    let conflict = &left["conflicts"][0];
    assert_eq!((&left["seq"], &left["reverted"]), (&Value::Null, &json!([])));
    assert_eq!((&conflict["section"], &conflict["seq"]), (&json!("s2"), &json!(2)));
    assert_eq!(conflict["why"], "two has changed these words since");

    let wish = json!({ "sections": ["s2"], "lease_ms": 60_000 });
    assert_eq!(up.of("Ben", "POST", "/locks", &wish).await.status, 200);
    let held = up.of("Ana", "POST", "/revert", &json!({ "seqs": [2] })).await.json();
    assert_eq!((&held["seq"], &held["conflicts"][0]["seq"]), (&Value::Null, &Value::Null));
    assert_eq!(held["conflicts"][0]["section"], "s2");
    let back = json!({ "section": "s2", "to_version": 0 });
    assert_eq!(up.of("Ana", "POST", "/revert", &back).await.problem(), "locked");
    // Who holds it needs not send the token again.
    let own = up.of("Ben", "POST", "/revert", &json!({ "seqs": [2] })).await.json();
    assert_eq!(own["reverted"], json!([2]));
    assert_eq!(up.of("Ben", "POST", "/revert", &back).await.status, 200);
    assert_eq!(text(&up).await, "## Plan\n\nTwo.\n\n");
}
