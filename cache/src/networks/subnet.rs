//! Networks as numbers: which addresses there are. Knows no network of this host.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subnet {
    base: Ipv4Addr,
    prefix: u8,
}

/// A text that is no subnet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid CIDR address: {0}")]
pub struct NoSubnet(pub String);

impl Subnet {
    /// The one of this many leading bits that `address` is in; at most 32.
    pub fn of(address: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        Self {
            base: Ipv4Addr::from(u32::from(address) & mask),
            prefix,
        }
    }

    /// Its lowest address.
    pub fn base(self) -> Ipv4Addr {
        self.base
    }

    /// How many leading bits its addresses share.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Its highest address.
    pub fn last(self) -> Ipv4Addr {
        let rest = u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
        Ipv4Addr::from(u32::from(self.base) | rest)
    }

    /// Whether `address` is in it.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        (self.base..=self.last()).contains(&address)
    }

    /// Whether some address is in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.base) || other.contains(self.base)
    }

    /// Addresses that a machine may have: not the lowest, which names the network, nor the highest,
    /// which means all.
    pub fn hosts(self) -> impl Iterator<Item = Ipv4Addr> {
        let ends = u32::from(self.prefix < 31);
        let first = u32::from(self.base).saturating_add(ends);
        let last = u32::from(self.last()).saturating_sub(ends);
        (first..=last).map(Ipv4Addr::from)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = NoSubnet;

    fn from_str(text: &str) -> Result<Self, NoSubnet> {
        let parse = || {
            let (address, prefix) = text.split_once('/')?;
            let prefix = prefix.parse().ok().filter(|prefix| *prefix <= 32)?;
            Some(Self::of(address.parse().ok()?, prefix))
        };
        parse().ok_or_else(|| NoSubnet(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_knows_its_addresses() {
        let net: Subnet = "10.99.7.5/24".parse().unwrap();
        assert_eq!(net.to_string(), "10.99.7.0/24");
        assert_eq!(net.last(), Ipv4Addr::new(10, 99, 7, 255));
        assert!(net.contains(Ipv4Addr::new(10, 99, 7, 77)));
        assert!(!net.contains(Ipv4Addr::new(10, 99, 8, 0)));
        let hosts: Vec<_> = "10.0.0.0/30".parse::<Subnet>().unwrap().hosts().collect();
        assert_eq!(
            hosts,
            [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)]
        );
        assert_eq!(
            "0.0.0.0/0".parse::<Subnet>().unwrap().last(),
            Ipv4Addr::BROADCAST
        );
        assert_eq!("1.2.3.4/32".parse::<Subnet>().unwrap().hosts().count(), 1);
    }

    #[test]
    fn overlap_is_mutual() {
        for (one, other, want) in [
            ("10.99.7.0/24", "10.99.7.0/25", true),
            ("10.99.7.0/24", "10.99.8.0/24", false),
            ("0.0.0.0/0", "192.168.1.0/24", true),
        ] {
            let [one, other]: [Subnet; 2] = [one, other].map(|text| text.parse().unwrap());
            assert_eq!((one.overlaps(other), other.overlaps(one)), (want, want));
        }
    }

    #[test]
    fn nonsense_is_no_subnet() {
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0/8",
            "a/8",
            "10.0.0.0/-1",
            "::/0",
        ] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
    }
}
