//! What a pod asks for: quality of service and sums of requests (`component-helpers/resource`, `helper/qos`).

use drydock_api::quantity::Quantity;
use serde_json::Value;

use super::value::{Read as _, quantity};

/// Requests of all containers for one resource, the way the scheduler counts: sum of the containers and sidecars, or the largest init
/// container if that is more. None when no container asks.
pub(super) fn container_requests(spec: &Value, resource: &str) -> Option<Quantity> {
    let request = |container: &Value| container.at("resources.requests").get(resource).and_then(quantity);
    let mut sum: Option<Quantity> = None;
    let plus = |sum: Option<Quantity>, more: Option<Quantity>| match (sum, more) {
        (Some(sum), Some(more)) => Some(sum.add(more)),
        (sum, more) => sum.or(more),
    };
    for container in spec.items("containers") {
        sum = plus(sum, request(container));
    }
    let mut sidecars: Option<Quantity> = None;
    let mut largest: Option<Quantity> = None;
    for container in spec.items("initContainers") {
        let own = if container.text("restartPolicy") == "Always" {
            sidecars = plus(sidecars, request(container));
            sidecars
        } else {
            plus(sidecars, request(container))
        };
        largest = largest.max(own);
    }
    plus(sum, sidecars).max(largest)
}

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub(crate) fn qos_class(spec: &Value) -> &'static str {
    let pod_level = spec.has("resources")
        && (!spec.entries("resources.requests").is_empty() || !spec.entries("resources.limits").is_empty());
    let holders: Vec<&Value> = if pod_level {
        vec![spec]
    } else {
        ["containers", "initContainers"].iter().flat_map(|list| spec.items(list)).collect()
    };
    let mut any = false;
    let mut guaranteed = true;
    for holder in holders {
        let amounts = |side: &str, resource: &str| {
            holder.at("resources").at(side).get(resource).and_then(quantity).filter(|amount| !amount.is_zero())
        };
        for resource in ["cpu", "memory"] {
            let (request, limit) = (amounts("requests", resource), amounts("limits", resource));
            any |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some() && request.is_none_or(|request| Some(request) == limit);
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn classes() {
        #[track_caller]
        fn check(containers: Value, expected: &str) {
            assert_eq!(qos_class(&json!({ "containers": containers })), expected);
        }
        let full = json!({"resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1000m", "memory": "1Gi"}}});
        check(json!([{}]), "BestEffort");
        check(json!([full]), "Guaranteed");
        check(json!([full, {}]), "Burstable");
        check(json!([{"resources": {"requests": {"cpu": "1"}}}]), "Burstable");
        check(json!([{"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}]), "Guaranteed");
        assert_eq!(
            qos_class(
                &json!({"resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}, "containers": [{}]})
            ),
            "Guaranteed"
        );
    }

    #[test]
    fn sums() {
        let container = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}});
        let spec =
            json!({"containers": [container("100m"), container("200m"), {}], "initContainers": [container("1")]});
        assert_eq!(container_requests(&spec, "cpu").unwrap().to_string(), "1");
        assert_eq!(container_requests(&spec, "memory"), None);
    }
}
