//! Who may do what.

use crate::support::Cluster;
use anyhow::Result;
use http::StatusCode;
use serde_json::json;

#[tokio::test]
async fn rights_come_from_roles_and_tokens_from_accounts() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let (admin, jane, nobody) = (cluster.client("admin"), cluster.client("jane"), cluster.client(""));
    assert_eq!(nobody.get("/healthz").await?, (StatusCode::OK, json!("ok")));
    let (code, refused) = nobody.get("/api/v1/pods").await?;
    let text = "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" at the cluster scope";
    assert_eq!((code, refused["message"].as_str()), (StatusCode::FORBIDDEN, Some(text)));
    let maps = "/api/v1/namespaces/default/configmaps";
    assert_eq!(jane.get(maps).await?.0, StatusCode::FORBIDDEN);
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "dev"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "dev"}]});
    let (code, made) =
        admin.post("/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", binding).await?;
    assert_eq!(code, StatusCode::CREATED, "{made}");
    assert_eq!(jane.get(maps).await?.0, StatusCode::OK);
    assert_eq!(jane.get("/api/v1/namespaces/default/secrets").await?.0, StatusCode::FORBIDDEN);

    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}});
    admin.post("/api/v1/namespaces/default/serviceaccounts", account).await?;
    let request =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}});
    let (code, answer) = admin.post("/api/v1/namespaces/default/serviceaccounts/robot/token", request).await?;
    assert_eq!(code, StatusCode::CREATED, "{answer}");
    let mut robot = cluster.client("");
    robot.token = answer["status"]["token"].as_str().map(str::to_owned);
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let (_, who) = robot.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", review).await?;
    assert_eq!(who["status"]["userInfo"]["username"], "system:serviceaccount:default:robot");
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {"user": "jane", "groups": ["dev"], "resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "default"}}});
    let (_, access) = admin.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review).await?;
    assert_eq!(access["status"]["allowed"], true, "{access}");
    admin.delete("/api/v1/namespaces/default/serviceaccounts/robot").await?;
    // Tokens are judged by what the server's cache holds, which follows the write.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while robot.get("/api").await?.0 != StatusCode::UNAUTHORIZED {
        assert!(std::time::Instant::now() < deadline, "the token outlives its account");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    robot.token = Some("not.a.token".to_owned());
    assert_eq!(robot.get("/api").await?.0, StatusCode::UNAUTHORIZED);
    let (_, keys) = admin.get("/openid/v1/jwks").await?;
    assert_eq!(keys["keys"][0]["alg"], "ES256");

    // The audit log has the chain: who asked for what.
    let log = std::fs::read_to_string(cluster.path("audit.log"))?;
    let made = log
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|event| event["verb"] == "create" && event["objectRef"]["resource"] == "rolebindings");
    let made = made.unwrap_or_default();
    assert_eq!(
        (&made["user"]["username"], &made["responseStatus"]["code"]),
        (&json!("kubernetes-admin"), &json!(201)),
        "{made}"
    );
    assert!(made["objectRef"]["uid"].is_string(), "{made}");
    Ok(())
}

#[tokio::test]
async fn a_review_is_no_table() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}});
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let admin = cluster.client("admin");
    let (code, status) = admin.post_for(reviews, table, review.clone()).await?;
    assert_eq!((code, status["reason"].as_str()), (StatusCode::NOT_ACCEPTABLE, Some("NotAcceptable")));
    let (code, answer) = admin.post_for(reviews, &format!("{table},application/json"), review).await?;
    assert_eq!((code, &answer["status"]["allowed"]), (StatusCode::CREATED, &json!(true)));
    Ok(())
}
