//! Entry of the staff's app; natively there is nothing to run.

fn main() {
    #[cfg(target_arch = "wasm32")]
    drydock_frontend::mount_staff();
}
