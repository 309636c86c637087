//! Slices hold every endpoint once, whatever they held before, and are then left alone.

use proptest::prelude::*;

use super::*;

fn endpoint(number: u16, ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![format!("10.244.{}.{}", number / 200, number % 200)],
        conditions: EndpointConditions { ready: Some(ready), serving: Some(ready), terminating: Some(false) },
        ..Endpoint::default()
    }
}

fn wanted() -> impl Strategy<Value = Groups> {
    let ports = prop::collection::btree_set(1_i32..4, 1..3);
    let endpoints = prop::collection::btree_map(0_u16..400, any::<bool>(), 0..260);
    prop::collection::vec((ports, endpoints), 0..3).prop_map(|groups| {
        let mut wanted = Groups::new();
        for (ports, endpoints) in groups {
            let port =
                |number| EndpointPort { port: Some(number), name: Some(String::new()), ..EndpointPort::default() };
            let ports: Vec<EndpointPort> = ports.into_iter().map(port).collect();
            let endpoints = endpoints.into_iter().map(|(number, ready)| endpoint(number, ready)).collect();
            wanted.insert(("IPv4".to_owned(), ports), endpoints);
        }
        wanted
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn slices_are_written_once(turns in prop::collection::vec(wanted(), 1..5)) {
        let mut service = Service::default();
        service.metadata.name = "web".into();
        let mut store: Vec<Arc<EndpointSlice>> = Vec::new();
        let mut serial = 0;
        for wanted in turns {
            for action in plan(&service, &wanted, &store, "us") {
                match action {
                    Action::Create(body) => {
                        serial += 1;
                        let mut slice: EndpointSlice = serde_json::from_value(body).unwrap();
                        slice.metadata.name = format!("web-{serial}");
                        store.push(Arc::new(slice));
                    }
                    Action::Replace(name, body) => {
                        let slot = store.iter_mut().find(|slice| slice.metadata.name == name).unwrap();
                        *slot = Arc::new(serde_json::from_value(body).unwrap());
                    }
                    Action::Delete(gone) => store.retain(|slice| *slice != gone),
                }
            }
            prop_assert_eq!(plan(&service, &wanted, &store, "us"), []);
            prop_assert!(store.iter().all(|slice| slice.endpoints.len() <= MOST));
            let mut held: Vec<_> = store
                .iter()
                .flat_map(|slice| slice.endpoints.iter().map(|endpoint| (slice.ports.clone(), endpoint.addresses.clone())))
                .collect();
            let mut asked: Vec<_> = wanted
                .iter()
                .flat_map(|((_, ports), endpoints)| endpoints.iter().map(|e| (ports.clone(), e.addresses.clone())))
                .collect();
            held.sort();
            asked.sort();
            prop_assert_eq!(held, asked);
        }
    }
}
