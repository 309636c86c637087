//! The built-in schema holds what upstream's Go types say.

use super::table;
use crate::meta::Gvk;
use crate::schema::{Kind, ListType, Type};

fn ty(name: &str) -> Type<'static> {
    table().by_name(&format!("io.k8s.api.{name}")).unwrap()
}

#[test]
fn finds_types_by_kind() {
    for (group, version, kind, want) in [
        ("", "v1", "Pod", "io.k8s.api.core.v1.Pod"),
        ("", "v1", "PodList", "io.k8s.api.core.v1.PodList"),
        ("apps", "v1", "Deployment", "io.k8s.api.apps.v1.Deployment"),
        ("policy", "v1", "Eviction", "io.k8s.api.policy.v1.Eviction"),
        ("autoscaling", "v1", "Scale", "io.k8s.api.autoscaling.v1.Scale"),
        ("authentication.k8s.io", "v1", "TokenRequest", "io.k8s.api.authentication.v1.TokenRequest"),
        ("apps", "v1", "DeleteOptions", "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"),
        ("", "v1", "Status", "io.k8s.apimachinery.pkg.apis.meta.v1.Status"),
        (
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
        ),
    ] {
        assert_eq!(table().by_gvk(&Gvk::new(group, version, kind)).map(Type::name), Some(want), "{kind}");
    }
    assert!(table().by_gvk(&Gvk::new("apps", "v1", "Pod")).is_none());
}

#[test]
fn types_are_sorted_and_fields_too() {
    let names: Vec<&str> = table().types().map(Type::name).collect();
    assert!(names.is_sorted());
    for ty in table().types() {
        assert!(ty.fields().map(|f| f.name()).is_sorted(), "{ty:?}");
    }
}

#[test]
fn lists_know_their_keys() {
    #[track_caller]
    fn check(owner: &str, field: &str, list: ListType, keys: &[&str], strategy: Option<&str>, merge_key: &str) {
        let field = ty(owner).field(field).unwrap();
        assert_eq!(field.shape().list_type(), list);
        assert_eq!(field.shape().keys().collect::<Vec<_>>(), keys);
        assert_eq!((field.patch_strategy(), field.merge_key()), (strategy, merge_key));
    }
    check("core.v1.PodSpec", "containers", ListType::Map, &["name"], Some("merge"), "name");
    check("core.v1.PodSpec", "volumes", ListType::Map, &["name"], Some("merge,retainKeys"), "name");
    check("core.v1.Container", "ports", ListType::Map, &["containerPort", "protocol"], Some("merge"), "containerPort");
    check("core.v1.EphemeralContainer", "env", ListType::Map, &["name"], Some("merge"), "name");
    check("core.v1.ServiceSpec", "ports", ListType::Map, &["port", "protocol"], Some("merge"), "port");
    check("core.v1.PodSpec", "tolerations", ListType::Atomic, &[], None, "");
    check("batch.v1.JobStatus", "conditions", ListType::Atomic, &[], Some("merge"), "type");
    check("apps.v1.DeploymentSpec", "strategy", ListType::Unset, &[], Some("retainKeys"), "");
    check("policy.v1.PodDisruptionBudgetSpec", "selector", ListType::Unset, &[], Some("replace"), "");
}

#[test]
fn scalars_and_tags() {
    #[track_caller]
    fn check(owner: &str, field: &str, kind: Kind, tag: u16, pointer: bool) {
        let field = ty(owner).field(field).unwrap();
        assert_eq!((field.shape().kind(), field.tag(), field.is_pointer()), (kind, tag, pointer));
    }
    check("apps.v1.DeploymentSpec", "replicas", Kind::Int32, 1, true);
    check("apps.v1.DeploymentSpec", "minReadySeconds", Kind::Int32, 5, false);
    check("core.v1.ServicePort", "targetPort", Kind::IntOrString, 4, false);
    check("core.v1.Secret", "data", Kind::Map, 2, false);
    check("core.v1.PodStatus", "startTime", Kind::Time, 7, false);
    check("coordination.v1.LeaseSpec", "renewTime", Kind::MicroTime, 4, false);
    check("core.v1.Volume", "emptyDir", Kind::Object, 0, false);
    assert_eq!(
        ty("core.v1.Volume").inlined().map(|f| (f.tag(), f.shape().ty().map(Type::name))).collect::<Vec<_>>(),
        [(2, Some("io.k8s.api.core.v1.VolumeSource"))]
    );
    let selector = table().by_name("io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector").unwrap();
    assert!(selector.is_atomic());
    let extra = table().by_name("io.k8s.api.authentication.v1.UserInfo").unwrap().field("extra").unwrap().shape();
    assert!(extra.items().unwrap().is_wrapped());
}

#[test]
fn defaults_of_list_keys_are_known() {
    assert_eq!(ty("core.v1.ContainerPort").field("protocol").unwrap().default_json(), "\"TCP\"");
    assert_eq!(ty("core.v1.ServicePort").field("protocol").unwrap().default_json(), "\"TCP\"");
}

#[test]
fn types_and_fields_are_described() {
    let mut descriptions = crate::schema::Descriptions::new();
    let spec = ty("apps.v1.DeploymentSpec");
    let texts: Vec<String> = descriptions.of(spec).map(str::to_owned).collect();
    assert_eq!(texts[0], "DeploymentSpec is the specification of the desired behavior of the Deployment.");
    assert_eq!(texts.len(), 1 + spec.fields().count());
    let paused = spec.fields().position(|f| f.name() == "paused").unwrap();
    assert_eq!(texts[1 + paused], "Indicates that the deployment is paused.");
    assert_eq!(descriptions.of(ty("core.v1.PodList")).next(), Some("PodList is a list of Pods."));
    // Upstream itself leaves a few types without a word.
    let silent = table()
        .types()
        .filter(|ty| !ty.is_proto_only() && descriptions.of(*ty).next().is_none_or(str::is_empty))
        .count();
    assert!(silent < 20, "{silent} types have no description");
}
