//! Drydock's browser app: the catalogue of lessons and the session page with lesson, living picture and terminal.
//!
//! [`staff`] is a second app, for instructors and operators, which shares parts with the first one.
//!
//! Two halves. The pure modules ([`diagram`], [`format`], [`inline`], [`manifest`], [`tabs`], [`text`], [`story`]) decide what is shown and
//! where; they compile everywhere and are tested natively. The rest exists only on wasm32 and applies those
//! decisions to the page. `api` is the only module that talks to the backend.

pub mod diagram;
pub mod format;
pub mod inline;
pub mod manifest;
#[allow(unreachable_pub, reason = "Leptos makes the properties of components public")]
pub mod staff;
pub mod story;
pub mod tabs;
pub mod text;

#[cfg(target_arch = "wasm32")]
mod api;
#[cfg(target_arch = "wasm32")]
mod app;
#[cfg(target_arch = "wasm32")]
mod classes;
#[cfg(target_arch = "wasm32")]
mod live;
#[cfg(target_arch = "wasm32")]
#[allow(unreachable_pub, reason = "Leptos makes the properties of components public")]
mod pages;
#[cfg(target_arch = "wasm32")]
#[allow(unreachable_pub, reason = "Leptos makes the properties of components public")]
mod parts;
#[cfg(target_arch = "wasm32")]
mod settings;

#[cfg(target_arch = "wasm32")]
pub use app::mount;
#[cfg(target_arch = "wasm32")]
pub use staff::mount as mount_staff;
