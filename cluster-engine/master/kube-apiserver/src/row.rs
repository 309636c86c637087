//! One row per resource: everything the pipeline needs to know about a kind, as data and small pure functions.
//!
//! The pipeline (`pipeline.rs`) is the same for every resource; what differs stands in a [`Resource`]. A row is
//! written as `Resource { group: "apps", version: "v1", kind: "Deployment", …, ..Resource::BASE }`.
//!
//! What the pipeline does for all rows, so that rows need not: `apiVersion`/`kind`, name and namespace rules,
//! `metadata` (uid, creationTimestamp, generateName, resourceVersion, generation, deletionTimestamp, finalizers,
//! managedFields, labels/annotations/ownerReferences validation), pruning and strict decoding by the schema table,
//! on the main resource dropping what the client says about `status` (when the row has [`Subresource::Status`]),
//! on `/status` keeping everything but `status` (and the metadata that upstream lets through), patches, dry run,
//! compare-and-swap, lists, watches, tables, discovery and OpenAPI paths.

use drydock_api::field::FieldError;
use serde_json::Value;

/// A row: one kind served in one group and version.
#[derive(Clone, Copy)]
pub struct Resource {
    /// API group, empty for core.
    pub group: &'static str,
    /// API version, such as `v1`.
    pub version: &'static str,
    /// Kind, such as `Pod`.
    pub kind: &'static str,
    /// Plural name in the URL, such as `pods`.
    pub plural: &'static str,
    /// Singular name, such as `pod`.
    pub singular: &'static str,
    /// Short names for kubectl, such as `po`.
    pub short_names: &'static [&'static str],
    /// Categories, such as `all`.
    pub categories: &'static [&'static str],
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// What the main resource can do.
    pub verbs: Verbs,
    /// Subresources served below an object.
    pub subresources: &'static [Subresource],
    /// Columns of the server-side Table, the name column included. Empty means Name and Age (Created At), as upstream's default.
    pub columns: &'static [Column],
    /// Conditions of a Table row (upstream sets `Completed` on finished pods); returns an array or null.
    pub row_conditions: Option<fn(&Value) -> Value>,
    /// Selectable fields beyond `metadata.name` and `metadata.namespace`.
    pub fields: &'static [(&'static str, FieldValue)],
    /// Upstream's `SetDefaults_*` of this version: runs after every decode (create, update, patch result).
    pub default: fn(&mut Value),
    /// Strategy's PrepareForCreate, after defaulting and admission (status is already dropped when there is a status subresource).
    pub prepare_create: fn(&mut Value, &Context<'_>),
    /// Strategy's PrepareForUpdate of the main resource: `(new, old)`.
    pub prepare_update: fn(&mut Value, &Value, &Context<'_>),
    /// PrepareForUpdate of a subresource that writes the object (`context.subresource` tells which): `(new, old)`.
    /// The pipeline has already put everything that the subresource may not touch back to `old`.
    pub prepare_subresource: fn(&mut Value, &Value, &Context<'_>),
    /// Validation of a new object.
    pub validate: fn(&Value, &Context<'_>) -> Vec<FieldError>,
    /// Validation of an update `(new, old)`: must include the checks of `validate` that still hold (as upstream's ValidateXUpdate).
    pub validate_update: fn(&Value, &Value, &Context<'_>) -> Vec<FieldError>,
    /// Validation of a write through a subresource (`context.subresource` tells which): `(new, old)`.
    pub validate_subresource: fn(&Value, &Value, &Context<'_>) -> Vec<FieldError>,
    /// Warnings for the client (`Warning: 299 …`) about this object; `old` on update.
    pub warnings: fn(&Value, Option<&Value>) -> Vec<String>,
    /// Rule for `metadata.name`; the flag says that the name is a generateName prefix.
    pub name: fn(&str, bool) -> Vec<String>,
    /// Whether `metadata.generation` starts at 1 and goes up when anything but metadata and status changes.
    pub generation: bool,
    /// Key prefix in etcd without a slash at the end, such as `/registry/pods`.
    pub storage: &'static str,
    /// The `(group, version)` in which objects are stored; empty version means this row's own.
    pub storage_version: (&'static str, &'static str),
    /// Conversion from the stored form to this row's version (apiVersion and kind are set by the pipeline).
    pub from_storage: Option<fn(&mut Value)>,
    /// Conversion from this row's version to the stored form.
    pub to_storage: Option<fn(&mut Value)>,
    /// Graceful deletion: `(object, requested grace) -> grace in seconds`; 0 removes at once. None: always at once.
    pub graceful: Option<fn(&Value, Option<i64>) -> i64>,
    /// Whether something in the object beside `metadata.finalizers` still holds it (`spec.finalizers` of a Namespace).
    pub held: Option<fn(&Value) -> bool>,
    /// Changes the object when its deletion begins (a Namespace's `status.phase` becomes Terminating).
    pub begin_delete: Option<fn(&mut Value)>,
    /// A PUT of a name that does not exist creates it (Lease, Endpoints, Event, RBAC rows …: upstream's AllowCreateOnUpdate).
    pub create_on_update: bool,
    /// An update without resourceVersion is allowed (upstream's AllowUnconditionalUpdate).
    pub unconditional_update: bool,
    /// What a DELETE does to dependents when the client does not say: true orphans them (only ReplicationController v1).
    pub orphan_by_default: bool,
    /// A create keeps the status that the client sends (Node: the kubelet registers itself with one).
    pub status_on_create: bool,
    /// What a row needs beyond data: things done with the store.
    pub hook: Hook,
    /// The schema and columns of a custom kind, which has no functions of its own.
    pub(crate) custom: Option<&'static crate::custom::CustomKind>,
    /// Seconds after which etcd forgets the object (Events: 3600); 0 keeps it.
    pub time_to_live: i64,
}

/// The value of a selectable field.
pub type FieldValue = fn(&Value) -> String;

/// What functions of a row may know of the request.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The row itself.
    pub resource: &'a Resource,
    /// Namespace of the request, empty for cluster scope.
    pub namespace: &'a str,
    /// Name of the user who asks.
    pub user: &'a str,
    /// Groups of the user.
    pub groups: &'a [String],
    /// The subresource through which the object is written, if any.
    pub subresource: Option<Subresource>,
    /// Now, as RFC 3339 with seconds (`2026-11-21T01:02:03Z`).
    pub now: &'a str,
}

/// A column of the server-side Table.
#[derive(Clone, Copy)]
pub struct Column {
    /// Title, such as `Ready`.
    pub name: &'static str,
    /// OpenAPI type: `string`, `integer`, `boolean`, `date`…
    pub kind: &'static str,
    /// OpenAPI format; `name` for the name column.
    pub format: &'static str,
    /// What the column shows.
    pub description: &'static str,
    /// 0 is always shown, 1 only with `-o wide`.
    pub priority: i32,
    /// The cell of one object.
    pub cell: fn(&Value, jiff::Timestamp) -> Value,
}

impl Column {
    /// A string column that is always shown.
    pub const fn string(name: &'static str, cell: fn(&Value, jiff::Timestamp) -> Value) -> Self {
        Self { name, kind: "string", format: "", description: "", priority: 0, cell }
    }

    /// An integer column that is always shown.
    pub const fn integer(name: &'static str, cell: fn(&Value, jiff::Timestamp) -> Value) -> Self {
        Self { name, kind: "integer", format: "", description: "", priority: 0, cell }
    }

    /// The `Name` column.
    pub const NAME: Self = Self {
        name: "Name",
        kind: "string",
        format: "name",
        description: "Name must be unique within a namespace.",
        priority: 0,
        cell: name_cell,
    };

    /// The `Age` column.
    pub const AGE: Self = Self {
        name: "Age",
        kind: "string",
        format: "",
        description: "CreationTimestamp is a timestamp representing the server time when this object was created.",
        priority: 0,
        cell: age_cell,
    };

    /// The same column, shown only with `-o wide`.
    pub const fn wide(mut self) -> Self {
        self.priority = 1;
        self
    }

    /// The same column with a description.
    pub const fn describe(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }
}

/// A set of verbs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verbs(u16);

impl Verbs {
    /// No verb at all.
    pub const NONE: Self = Self(0);
    /// `get`.
    pub const GET: Self = Self(1);
    /// `list`.
    pub const LIST: Self = Self(2);
    /// `watch`.
    pub const WATCH: Self = Self(4);
    /// `create`.
    pub const CREATE: Self = Self(8);
    /// `update`.
    pub const UPDATE: Self = Self(16);
    /// `patch`.
    pub const PATCH: Self = Self(32);
    /// `delete`.
    pub const DELETE: Self = Self(64);
    /// `deletecollection`.
    pub const DELETE_COLLECTION: Self = Self(128);
    /// Everything.
    pub const ALL: Self = Self(255);
    /// Everything but `deletecollection` (Namespaces, Services before 1.23 …).
    pub const NO_COLLECTION: Self = Self(127);

    /// The union of two sets.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in this set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Names in alphabetical order, as discovery lists them.
    pub fn names(self) -> Vec<&'static str> {
        const ALL: [(Verbs, &str); 8] = [
            (Verbs::CREATE, "create"),
            (Verbs::DELETE, "delete"),
            (Verbs::DELETE_COLLECTION, "deletecollection"),
            (Verbs::GET, "get"),
            (Verbs::LIST, "list"),
            (Verbs::PATCH, "patch"),
            (Verbs::UPDATE, "update"),
            (Verbs::WATCH, "watch"),
        ];
        ALL.iter().filter(|(verb, _)| self.has(*verb)).map(|(_, name)| *name).collect()
    }
}

/// A subresource of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subresource {
    /// `status`: get, patch, update.
    Status,
    /// `scale`: `autoscaling/v1` Scale made from three dotted paths; `selector` leads to a LabelSelector, a map of labels or a string.
    Scale {
        /// Path of the wanted number, such as `spec.replicas`.
        spec: &'static str,
        /// Path of the observed number, such as `status.replicas`.
        status: &'static str,
        /// Path of the selector, such as `spec.selector`; empty for none.
        selector: &'static str,
    },
    /// `pods/binding`.
    Binding,
    /// `pods/eviction`.
    Eviction,
    /// `pods/log`.
    Log,
    /// `pods/exec`.
    Exec,
    /// `pods/attach`.
    Attach,
    /// `pods/portforward`.
    PortForward,
    /// `proxy` of pods, services and nodes.
    Proxy,
    /// `certificatesigningrequests/approval`.
    Approval,
    /// `namespaces/finalize`.
    Finalize,
    /// `serviceaccounts/token`.
    Token,
    /// `pods/ephemeralcontainers`.
    EphemeralContainers,
    /// `pods/resize`.
    Resize,
}

impl Subresource {
    /// The name in the URL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Scale { .. } => "scale",
            Self::Binding => "binding",
            Self::Eviction => "eviction",
            Self::Log => "log",
            Self::Exec => "exec",
            Self::Attach => "attach",
            Self::PortForward => "portforward",
            Self::Proxy => "proxy",
            Self::Approval => "approval",
            Self::Finalize => "finalize",
            Self::Token => "token",
            Self::EphemeralContainers => "ephemeralcontainers",
            Self::Resize => "resize",
        }
    }
}

/// What a row needs done with the store or with keys; the pipeline runs it at the right place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hook {
    /// Nothing.
    None,
    /// Services: allocate and release cluster addresses and node ports.
    ServiceAddresses,
    /// CertificateSigningRequest: stamp spec.username, uid, groups and extra from the user.
    CertificateRequest,
    /// `authentication.k8s.io` TokenReview (create only).
    TokenReview,
    /// `authentication.k8s.io` SelfSubjectReview (create only).
    SelfSubjectReview,
    /// `authorization.k8s.io` SubjectAccessReview (create only).
    SubjectAccessReview,
    /// `authorization.k8s.io` LocalSubjectAccessReview (create only).
    LocalSubjectAccessReview,
    /// `authorization.k8s.io` SelfSubjectAccessReview (create only).
    SelfSubjectAccessReview,
    /// `authorization.k8s.io` SelfSubjectRulesReview (create only).
    SelfSubjectRulesReview,
    /// core `bindings`: the old way to bind a pod (create only).
    Binding,
    /// core `componentstatuses`: made on reading.
    ComponentStatus,
    /// `rbac.authorization.k8s.io` rows: nobody may grant more than they hold (escalation check).
    RbacEscalation,
    /// `apiextensions.k8s.io` CustomResourceDefinition: the served set of rows changes.
    CustomResourceDefinition,
    /// `apiregistration.k8s.io` APIService: the served set of groups changes.
    ApiService,
}

impl Resource {
    /// A row with nothing in it but upstream's common behaviour.
    pub const BASE: Self = Self {
        group: "",
        version: "v1",
        kind: "",
        plural: "",
        singular: "",
        short_names: &[],
        categories: &[],
        namespaced: true,
        verbs: Verbs::ALL,
        subresources: &[],
        columns: &[],
        row_conditions: None,
        fields: &[],
        default: no_default,
        prepare_create: no_prepare_create,
        prepare_update: no_prepare_update,
        prepare_subresource: no_prepare_update,
        validate: no_validate,
        validate_update: no_validate_update,
        validate_subresource: no_validate_update,
        warnings: no_warnings,
        name: subdomain_name,
        generation: false,
        storage: "",
        storage_version: ("", ""),
        from_storage: None,
        to_storage: None,
        graceful: None,
        held: None,
        begin_delete: None,
        create_on_update: false,
        unconditional_update: true,
        orphan_by_default: false,
        status_on_create: false,
        hook: Hook::None,
        custom: None,
        time_to_live: 0,
    };

    /// `v1` or `apps/v1`, as in the field apiVersion.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Whether the row has a status subresource.
    pub fn has_status(&self) -> bool {
        self.subresources.contains(&Subresource::Status)
    }

    /// The subresource of that name.
    pub fn subresource(&self, name: &str) -> Option<Subresource> {
        self.subresources.iter().copied().find(|sub| sub.name() == name)
    }

    /// Whether objects are kept in etcd (reviews are not).
    pub fn stored(&self) -> bool {
        !self.storage.is_empty()
    }
}

/// Age of the object as kubectl prints it, `<unknown>` without a creation time.
pub fn age_cell(object: &Value, now: jiff::Timestamp) -> Value {
    Value::String(age(object.pointer("/metadata/creationTimestamp").and_then(Value::as_str).unwrap_or(""), now))
}

/// Time since `timestamp` as kubectl prints it (`5s`, `2m3s`, `4h`, `3d2h`…), `<unknown>` when empty.
pub fn age(timestamp: &str, now: jiff::Timestamp) -> String {
    match timestamp.parse::<jiff::Timestamp>() {
        Ok(then) => human_duration(now.as_second() - then.as_second()),
        Err(_) => "<unknown>".to_owned(),
    }
}

/// Seconds as kubectl prints them: upstream's `duration.HumanDuration`.
pub fn human_duration(seconds: i64) -> String {
    const YEAR: i64 = 365 * 24;
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    if seconds < 0 {
        return "0s".to_owned();
    }
    if seconds < 120 {
        return format!("{seconds}s");
    }
    let minutes = seconds / 60;
    if minutes < 10 {
        let rest = seconds % 60;
        return if rest == 0 { format!("{minutes}m") } else { format!("{minutes}m{rest}s") };
    }
    if minutes < 180 {
        return format!("{minutes}m");
    }
    let hours = minutes / 60;
    if hours < 8 {
        let rest = minutes % 60;
        return if rest == 0 { format!("{hours}h") } else { format!("{hours}h{rest}m") };
    }
    if hours < 48 {
        return format!("{hours}h");
    }
    if hours < 24 * 8 {
        let rest = hours % 24;
        return if rest == 0 { format!("{}d", hours / 24) } else { format!("{}d{rest}h", hours / 24) };
    }
    if hours < YEAR * 2 {
        return format!("{}d", hours / 24);
    }
    if hours < YEAR * 8 {
        let days = hours / 24 % 365;
        return if days == 0 { format!("{}y", hours / YEAR) } else { format!("{}y{days}d", hours / YEAR) };
    }
    format!("{}y", hours / YEAR)
}

fn name_cell(object: &Value, _: jiff::Timestamp) -> Value {
    object.pointer("/metadata/name").cloned().unwrap_or_default()
}

fn no_default(_: &mut Value) {}
fn no_prepare_create(_: &mut Value, _: &Context<'_>) {}
fn no_prepare_update(_: &mut Value, _: &Value, _: &Context<'_>) {}
fn no_validate(_: &Value, _: &Context<'_>) -> Vec<FieldError> {
    Vec::new()
}
fn no_validate_update(_: &Value, _: &Value, _: &Context<'_>) -> Vec<FieldError> {
    Vec::new()
}
fn no_warnings(_: &Value, _: Option<&Value>) -> Vec<String> {
    Vec::new()
}

/// Name rule of most resources: a DNS-1123 subdomain.
pub fn subdomain_name(name: &str, prefix: bool) -> Vec<String> {
    drydock_api::names::is_dns1123_subdomain(masked(name, prefix).as_ref())
}

/// Name rule of namespaces and others that are one label: a DNS-1123 label.
pub fn label_name(name: &str, prefix: bool) -> Vec<String> {
    drydock_api::names::is_dns1123_label(masked(name, prefix).as_ref())
}

/// Name rule of Services: a DNS-1035 label.
pub fn service_name(name: &str, prefix: bool) -> Vec<String> {
    drydock_api::names::is_dns1035_label(masked(name, prefix).as_ref())
}

/// Name rule of RBAC rows: what can stand in one segment of a path.
pub fn path_segment_name(name: &str, prefix: bool) -> Vec<String> {
    if !prefix {
        for bad in [".", ".."] {
            if name == bad {
                return vec![format!("may not be '{bad}'")];
            }
        }
    }
    ["/", "%"].iter().filter(|bad| name.contains(**bad)).map(|bad| format!("may not contain '{bad}'")).collect()
}

/// Upstream's maskTrailingDash: a prefix may end in a dash because characters follow.
fn masked(name: &str, prefix: bool) -> std::borrow::Cow<'_, str> {
    if prefix && name.len() > 1 && name.ends_with('-') {
        let mut text = name[..name.len() - 1].to_owned();
        text.push('a');
        text.into()
    } else {
        name.into()
    }
}
