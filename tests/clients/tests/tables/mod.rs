//! The tables, by subject.

pub(crate) mod access;
pub(crate) mod apply;
pub(crate) mod batch;
pub(crate) mod custom;
pub(crate) mod forms;
pub(crate) mod limits;
pub(crate) mod network;
pub(crate) mod nodes;
pub(crate) mod pods;
pub(crate) mod storage;
pub(crate) mod workloads;

/// A Deployment of the demo image: two variables, two ports.
pub(crate) const SHOP: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, labels: {tier: front}}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: drydock/demo:v1
        env: [{name: A, value: '1'}, {name: B, value: '2'}]
        ports: [{containerPort: 8080, name: http}, {containerPort: 9090, name: admin}]
";

/// The same with one variable and one port less.
pub(crate) fn shop_without() -> String {
    SHOP.replace(", {name: B, value: '2'}", "").replace(", {containerPort: 9090, name: admin}", "")
}
