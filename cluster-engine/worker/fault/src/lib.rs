//! Faults that a node does to itself when the engine asks for them: packets lost, a slow disk under etcd.
//!
//! The engine runs it in the node (`drydock-node fault …`), so that it is the same on every kind of host.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use drydock_component::duration;
use drydock_nftables::ruleset::{Chain, Hook, Point, Prefix, Rule, Ruleset, Statement, Verdict, steps};
use drydock_nftables::{Socket, apply, remove_table};
use thiserror::Error;

/// The table of packet rules that loses packets; gone when none are lost.
const TABLE: &str = "drydock-fault";
/// The interface by which a node hears the other nodes.
const INTERFACE: &str = "eth0";
/// Before every other rule: a lost packet was never there.
const FIRST: i32 = -500;

/// What shall go wrong on this node.
#[derive(Debug, Parser)]
#[command(name = "fault")]
pub struct Options {
    #[command(subcommand)]
    fault: Fault,
}

#[derive(Debug, Subcommand)]
enum Fault {
    /// Loses packets that arrive from other nodes.
    Loss {
        /// How many of a hundred; 0 for none.
        #[arg(value_parser = clap::value_parser!(u8).range(0..=100))]
        percent: u8,
        /// An address whose packets always arrive: the session's gateway, which is no node.
        #[arg(long)]
        except: Option<Ipv4Addr>,
    },
    /// Makes each of etcd's writes take longer.
    Writes {
        /// By how much; 0 for not at all.
        #[arg(value_parser = duration::flag)]
        delay: Duration,
        /// etcd's folder.
        #[arg(long, default_value = "/var/lib/etcd")]
        data_dir: PathBuf,
    },
}

/// Why the fault could not be made or healed.
#[derive(Debug, Error)]
pub enum Error {
    /// The packet rules.
    #[error("cannot change the packet rules")]
    Rules(#[from] drydock_nftables::Error),
    /// The file that etcd reads.
    #[error("cannot write {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Makes or heals a fault.
///
/// # Errors
/// When the kernel or the disk refuses.
pub fn run(options: &Options) -> Result<(), Error> {
    match &options.fault {
        Fault::Loss { percent: 0, .. } => Ok(remove_table(&Socket::open()?, TABLE)?),
        Fault::Loss { percent, except } => Ok(apply(&Socket::open()?, TABLE, &steps(None, &loss(*percent, *except)))?),
        Fault::Writes { delay, data_dir } => {
            let path = data_dir.join("write-delay");
            let outcome = if delay.is_zero() {
                std::fs::remove_file(&path)
            } else {
                std::fs::write(&path, format!("{}us\n", delay.as_micros()))
            };
            match outcome {
                Err(error) if delay.is_zero() && error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                outcome => outcome.map_err(|source| Error::File { path, source }),
            }
        }
    }
}

/// The rules that lose packets.
fn loss(percent: u8, except: Option<Ipv4Addr>) -> Ruleset {
    let mut rule: Rule = vec![Statement::ArrivedBy(INTERFACE.to_owned())];
    if let Some(address) = except {
        rule.push(Statement::Source { prefix: Prefix { address, length: 32 }, is: false });
    }
    rule.push(Statement::Percent(percent));
    rule.push(Statement::Verdict(Verdict::Drop));
    let hook = Hook { nat: false, point: Point::Prerouting, priority: FIRST };
    let mut rules = Ruleset::default();
    rules.chains.insert("loss".to_owned(), Chain { hook: Some(hook), rules: vec![rule] });
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_nodes_are_lost_and_those_of_the_gateway_are_not() {
        let rules = loss(30, Some(Ipv4Addr::new(10, 20, 0, 1)));
        assert_eq!(
            rules.to_string(),
            "chain loss\n    iifname \"eth0\" ip saddr != 10.20.0.1/32 numgen random mod 100 < 30 drop\n"
        );
        assert_eq!(loss(5, None).to_string(), "chain loss\n    iifname \"eth0\" numgen random mod 100 < 5 drop\n");
    }

    #[test]
    fn nonsense_is_refused() {
        for wrong in [["fault", "loss", "101"], ["fault", "loss", "-1"], ["fault", "writes", "soon"]] {
            assert!(Options::try_parse_from(wrong).is_err(), "{wrong:?}");
        }
    }
}
