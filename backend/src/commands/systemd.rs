//! `drydock systemd`: the units that run the server.

use clap::Args;

const SERVICE: &str = include_str!("../../../packaging/drydock.service");
const SOCKET: &str = include_str!("../../../packaging/drydock.socket");
/// Where the unit in the tree expects the program.
const PROGRAM: &str = "/usr/local/bin/drydock";

/// Which unit.
#[derive(Args)]
pub(crate) struct Options {
    /// Prints the socket unit instead: systemd then holds the server's address while the server is restarted.
    #[arg(long)]
    socket: bool,
}

/// Prints a unit.
///
/// # Errors
/// When this program does not know where it is.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    if options.socket {
        print!("{SOCKET}");
    } else {
        print!("{}", SERVICE.replace(PROGRAM, &std::env::current_exe()?.to_string_lossy()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_names_the_program_once() {
        assert_eq!(SERVICE.matches(PROGRAM).count(), 1);
        // What an upgrade without loss rests on.
        for line in ["KillMode=process", "Environment=DRYDOCK_KEEP_SESSIONS=true", "Type=notify", "Delegate=yes"] {
            assert!(SERVICE.lines().any(|it| it == line), "{line}");
        }
    }
}
