//! Tokens against a cluster of three objects.

use std::collections::HashMap;
use std::sync::Mutex;

use bytes::Bytes;

use super::*;
use crate::authn::keys::tests::p256_pair;

#[derive(Default)]
struct Objects(Mutex<HashMap<String, Value>>);

impl Objects {
    fn put(&self, storage: &str, namespace: &str, name: &str, uid: &str) -> Value {
        let object = json!({"metadata": {"name": name, "namespace": namespace, "uid": uid}});
        self.0.lock().expect("lock").insert(format!("{storage}/{namespace}/{name}"), object.clone());
        object
    }
}

impl Lookup for Objects {
    fn version(&self, _: &str) -> i64 {
        1
    }
    fn each(&self, _: &str, _: &mut dyn FnMut(&[u8])) {}
    fn object(&self, storage: &str, namespace: &str, name: &str) -> Option<Bytes> {
        let objects = self.0.lock().expect("lock");
        Some(Bytes::from(objects.get(&format!("{storage}/{namespace}/{name}"))?.to_string()))
    }
}

fn tokens(objects: Arc<Objects>) -> Tokens {
    let key = p256_pair();
    Tokens {
        keys: vec![key.public()],
        signing: Some(key),
        issuers: vec!["https://issuer".to_owned()],
        audiences: vec!["https://issuer".to_owned()],
        extend: true,
        longest: 0,
        lookup: objects,
    }
}

#[test]
fn a_bound_token_dies_with_its_pod() {
    let objects = Arc::new(Objects::default());
    let account = objects.put("/registry/serviceaccounts", "a", "default", "u1");
    let pod = objects.put("/registry/pods", "a", "p", "u2");
    let tokens = tokens(Arc::clone(&objects));
    let new = NewToken {
        namespace: "a",
        account: &account,
        bound: Some(("pod", &pod)),
        node: None,
        audiences: tokens.audiences.clone(),
        seconds: 3607,
    };
    let (token, told) = tokens.issue(&new).expect("token");
    assert!((told - drydock_api::time::unix_now() - 3607).abs() <= 1);
    let claims = jwt::peek(&token).expect("claims");
    assert_eq!(claims["kubernetes.io"]["warnafter"], told);
    assert_eq!(claims["exp"].as_i64().expect("exp") - claims["iat"].as_i64().expect("iat"), EXTENDED_SECONDS);
    let user = tokens.authenticate(&token, &[]).expect("good").user;
    assert_eq!(user.name, "system:serviceaccount:a:default");
    assert_eq!(user.extra["authentication.kubernetes.io/pod-name"], ["p"]);
    assert!(matches!(tokens.authenticate(&token, &["other".to_owned()]), Err(TokenError::Audience { .. })));
    objects.put("/registry/pods", "a", "p", "u3");
    assert_eq!(tokens.authenticate(&token, &[]).err(), Some(TokenError::Invalidated));
}

#[test]
fn a_token_expires() {
    let objects = Arc::new(Objects::default());
    let account = objects.put("/registry/serviceaccounts", "a", "default", "u1");
    let tokens = tokens(objects);
    let new = NewToken {
        namespace: "a",
        account: &account,
        bound: None,
        node: None,
        audiences: tokens.audiences.clone(),
        seconds: -5,
    };
    let (token, _) = tokens.issue(&new).expect("token");
    assert_eq!(tokens.authenticate(&token, &[]).err(), Some(TokenError::Expired));
    assert_eq!(tokens.authenticate("abc", &[]).err(), Some(TokenError::Invalid));
}
