//! The two apps.

/// An app that the backend serves.
#[derive(Clone, Copy, Debug)]
pub struct WebApp {
    /// Name for people and in the manifest.
    pub name: &'static str,
    /// Binary of the crate `drydock-frontend`.
    pub binary: &'static str,
    /// Name of its module, its entry under `frontend/js` and its style sheet under `frontend/styles`.
    pub(crate) stem: &'static str,
    /// Its page under `frontend`.
    pub(crate) source: &'static str,
    /// Where its page is served; addresses below the folder that are no file get this page.
    pub page: &'static str,
    /// Compressed bytes that its page may need before it works.
    pub limit: u64,
}

/// The apps, the learners' first.
pub const APPS: [WebApp; 2] = [
    WebApp {
        name: "learners' app",
        binary: "drydock-frontend",
        stem: "app",
        source: "index.html",
        page: "/index.html",
        limit: 600_000,
    },
    WebApp {
        name: "staff's app",
        binary: "drydock-staff",
        stem: "staff",
        source: "staff.html",
        page: "/staff/index.html",
        limit: 450_000,
    },
];
