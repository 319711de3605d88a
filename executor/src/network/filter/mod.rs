//! The packet filter: tables, chains and rules of nftables, as transactions over netlink. Knows no
//! plan: what rules there are is decided elsewhere.

mod expression;
pub(super) mod foreign;
mod table;

pub(super) use expression::{Expression, Side};
pub(super) use table::{Chain, Hook, Rule, Table};
