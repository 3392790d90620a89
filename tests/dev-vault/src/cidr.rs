//! Address blocks, as in `token_bound_cidrs` and `secret_id_bound_cidrs`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cidr {
    address: IpAddr,
    prefix: u32,
}

impl Cidr {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let (width, base, other) = match (self.address, address) {
            (IpAddr::V4(base), IpAddr::V4(other)) => (32, u128::from(base.to_bits()), u128::from(other.to_bits())),
            (IpAddr::V6(base), IpAddr::V6(other)) => (128, base.to_bits(), other.to_bits()),
            _ => return false,
        };
        let host_bits = width - self.prefix;
        base.checked_shr(host_bits) == other.checked_shr(host_bits)
    }

    fn covers(&self, other: &Self) -> bool {
        other.prefix >= self.prefix && self.contains(other.address)
    }

    /// No block at all means every address.
    pub(crate) fn any_contains(blocks: &[Self], address: IpAddr) -> bool {
        blocks.is_empty() || blocks.iter().any(|block| block.contains(address))
    }

    /// Whether each of `inner` lies within one of `outer`.
    pub(crate) fn all_covered(outer: &[Self], inner: &[Self]) -> bool {
        outer.is_empty() || inner.iter().all(|block| outer.iter().any(|wide| wide.covers(block)))
    }

    pub(crate) fn parse_all(texts: &[String]) -> Option<Vec<Self>> {
        texts.iter().map(|text| text.parse().ok()).collect()
    }
}

impl FromStr for Cidr {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, prefix) = text.trim().split_once('/').map_or((text.trim(), None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(width), str::parse).map_err(|_| ())?;
        if prefix <= width { Ok(Self { address, prefix }) } else { Err(()) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_contain_what_shares_their_prefix() {
        let block: Cidr = "10.1.0.0/16".parse().unwrap();
        assert!(block.contains("10.1.200.3".parse().unwrap()));
        assert!(!block.contains("10.2.0.1".parse().unwrap()));
        assert!("0.0.0.0/0".parse::<Cidr>().unwrap().contains("127.0.0.1".parse().unwrap()));
        assert!("10.0.0.0/33".parse::<Cidr>().is_err());
    }
}
