//! No volume is ever given to two claims, and what is bound stays as it is.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_volume_has_one_claim(
        claims in prop::collection::vec((0_u8..2, 1_u8..5, any::<bool>()), 1..6),
        volumes in prop::collection::vec((0_u8..2, 1_u8..5, prop::option::weighted(0.3, 0_usize..6)), 0..6),
    ) {
        let mut claims: Vec<Arc<Claim>> = claims.into_iter().enumerate().map(|(at, (class, size, shared))| {
            let mode = if shared { "ReadWriteMany" } else { "ReadWriteOnce" };
            Arc::new(serde_json::from_value(json!({
                "metadata": {"namespace": "x", "name": format!("c{at}"), "uid": format!("u{at}")},
                "spec": {"accessModes": [mode], "storageClassName": format!("s{class}"),
                         "resources": {"requests": {"storage": format!("{size}Gi")}}},
            })).unwrap())
        }).collect();
        let mut volumes: Vec<Arc<Volume>> = volumes.into_iter().enumerate().map(|(at, (class, size, reserved))| {
            let held = reserved.map(|claim| json!({"namespace": "x", "name": format!("c{claim}")}));
            Arc::new(serde_json::from_value(json!({
                "metadata": {"name": format!("v{at}")},
                "spec": {"accessModes": ["ReadWriteOnce", "ReadWriteMany"], "storageClassName": format!("s{class}"),
                         "capacity": {"storage": format!("{size}Gi")}, "claimRef": held},
                "status": {"phase": "Available"},
            })).unwrap())
        }).collect();
        let classes: Vec<Arc<StorageClass>> = Vec::new();
        for round in 0..3 {
            for claim in &mut claims {
                let world = World { volumes: &volumes, classes: &classes, waiting_pods: &[] };
                let (ForClaim::Bind(volume), _) = for_claim(claim, &world) else { continue };
                let (mut of_volume, mut of_claim): (Value, Value) = (json!(*volume), json!(**claim));
                let took = claim_for(&mut of_volume, claim);
                let mut bound: Volume = serde_json::from_value(of_volume).unwrap();
                bound.status.phase = "Bound".into();
                let gave = give_to(&mut of_claim, &bound);
                prop_assert!(round == 0 || !(took || gave), "a second look writes more");
                let name = bound.metadata.name.clone();
                *volumes.iter_mut().find(|volume| volume.metadata.name == name).unwrap() = Arc::new(bound);
                *claim = Arc::new(serde_json::from_value(of_claim).unwrap());
            }
        }
        let mut given: Vec<&str> =
            claims.iter().map(|claim| claim.spec.volume_name.as_str()).filter(|name| !name.is_empty()).collect();
        let count = given.len();
        given.sort_unstable();
        given.dedup();
        prop_assert_eq!(given.len(), count, "a volume has two claims");
        for volume in &volumes {
            let held = volume.spec.claim_ref.as_ref().map(|held| held.name.as_str());
            let claim = claims.iter().find(|claim| Some(claim.name()) == held);
            if let Some(claim) = claim.filter(|claim| claim.spec.volume_name == volume.metadata.name) {
                prop_assert!(size(volume) >= wanted_size(claim));
                prop_assert_eq!(for_volume(volume, Some(claim)), ForVolume::Phase("Bound"));
            }
        }
    }
}
