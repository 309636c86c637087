//! `drydock-store`: what a host does in a container that holds the image store or a node's disk.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use clap::Subcommand;
use drydock_images::ImageStore;

use crate::node::read_inside;
use crate::state::State;
use crate::{Error, disk};

/// Flags of `drydock-store`.
#[derive(Debug, clap::Parser)]
#[command(name = "drydock-store")]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Imports a `docker save` archive from standard input.
    Import {
        /// The image store.
        #[arg(long)]
        images: PathBuf,
    },
    /// Keeps standard input as a program that nodes may use.
    Put {
        /// The file.
        #[arg(long)]
        file: PathBuf,
        /// Not for nodes: only its owner reads it.
        #[arg(long)]
        private: bool,
    },
    /// Remembers for a node that is off whether its cable is plugged in.
    Plug {
        /// The session's folder.
        #[arg(long)]
        session_dir: PathBuf,
        /// Out instead of in.
        #[arg(long)]
        out: bool,
    },
    /// Writes a part of a node's file to standard output; links lead nowhere but below the node's root.
    Read {
        /// The session's folder.
        #[arg(long)]
        session_dir: PathBuf,
        /// The node.
        #[arg(long)]
        node: String,
        /// The file on it.
        #[arg(long)]
        path: String,
        /// First byte.
        #[arg(long)]
        offset: u64,
        /// Most bytes.
        #[arg(long)]
        limit: usize,
    },
}

/// Does what is asked.
///
/// # Errors
/// When a file or image cannot be read or written.
pub fn run(options: Options) -> Result<(), Error> {
    match options.command {
        Command::Import { images } => {
            ImageStore::open(images)?.import_docker_archive(io::stdin().lock())?;
        }
        Command::Put { file, private } => {
            let fail = || Error::io(format!("cannot write {}", file.display()));
            let partial = file.with_extension("partial");
            fs::create_dir_all(file.parent().unwrap_or(&file)).map_err(fail())?;
            let mut out = fs::File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&partial)
                .map_err(fail())?;
            io::copy(&mut io::stdin().lock(), &mut out).map_err(fail())?;
            out.set_permissions(fs::Permissions::from_mode(if private { 0o600 } else { 0o755 })).map_err(fail())?;
            // Either whole or not there, for who looks for it next time.
            out.sync_all().and_then(|()| fs::rename(&partial, &file)).map_err(fail())?;
        }
        Command::Plug { session_dir, out } => {
            let mut state = State::load(&session_dir)?;
            state.nodes.iter_mut().for_each(|node| node.unplugged = out);
            state.save(&session_dir)?;
        }
        Command::Read { session_dir, node, path, offset, limit } => {
            let folder = session_dir.join("nodes").join(node);
            disk::look(&folder).map_err(Error::io("cannot mount the node's disk"))?;
            let bytes = read_inside(&disk::place(&folder).join("rootfs"), &path, offset, limit)?;
            io::stdout().lock().write_all(&bytes).map_err(Error::io(format!("cannot write what is in {path}")))?;
        }
    }
    Ok(())
}
