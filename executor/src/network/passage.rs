//! Other programs' filters that drop what is passed on (Docker's is one), and our accepts in them: to
//! accept in a chain of ours would count for nothing there. They name the bridge alone and go with it;
//! those of a bridge that is no more are taken out by the next container that starts.

use super::filter::{Expression, Side, foreign};
use super::link::Links;

/// What our rules' comments begin with; the bridge's name follows.
const TAG: &str = "rbuild ";

/// Lets what comes from a bridge or goes to it pass in filters that would drop it. Where that is not
/// allowed to us, it is left as their owners have it.
pub(super) fn open(links: &mut Links, bridge: &str) {
    let Ok(chains) = foreign::dropping() else {
        return;
    };
    if chains.is_empty() {
        return;
    }
    let ours = foreign::tagged(TAG).unwrap_or_default();
    let (alive, dead): (Vec<_>, Vec<_>) = ours.into_iter().partition(|rule| {
        let name = rule.tag.get(TAG.len()..).unwrap_or_default();
        !matches!(links.index(name), Ok(None))
    });
    let _ = foreign::remove(&dead);
    let tag = format!("{TAG}{bridge}");
    let rules = [Side::From, Side::To].map(|side| {
        vec![
            Expression::Link(side, bridge.to_owned()),
            Expression::Accept,
        ]
    });
    for chain in chains {
        if !alive
            .iter()
            .any(|rule| rule.tag == tag && rule.is_in(&chain))
        {
            let _ = foreign::insert(&chain, &tag, &rules);
        }
    }
}

/// Takes our accepts for a bridge out of others' filters.
pub(super) fn close(bridge: &str) {
    let tag = format!("{TAG}{bridge}");
    let mut ours = foreign::tagged(&tag).unwrap_or_default();
    ours.retain(|rule| rule.tag == tag);
    let _ = foreign::remove(&ours);
}
