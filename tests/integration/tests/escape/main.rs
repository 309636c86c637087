//! Every boundary of docs/SECURITY.md, with somebody who tries to cross it: from a plain pod, from the worst pods that
//! the API lets a learner make, from the workstation and from a shell on a node.

mod exhaustion;
mod files;
mod images;
mod kernel;
mod lab;
mod machine;
mod neighbours;

use drydock_tests_harness::Product;
use lab::Lab;

#[test]
fn nobody_gets_out() {
    let product = Product::new();
    let lab = Lab::start(&product);
    kernel::is_not_theirs(&lab);
    images::cannot_be_poisoned(&lab);
    files::are_out_of_reach(&lab);
    neighbours::are_out_of_reach(&lab);
}

#[test]
fn nobody_takes_more_than_they_have() {
    let product = Product::new();
    let lab = Lab::start(&product);
    exhaustion::ends_with_the_session(&lab);
}
