//! Lists of addresses and networks: `10.0.0.0/8, 192.0.2.7, fd00::/8`.

use std::net::IpAddr;

use super::config::ConfigError;

/// Whom a listener serves: those allowed, when any are named, but for those denied.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    allow: Networks,
    deny: Networks,
}

impl Lists {
    /// Reads the options `allow` and `deny` of a section.
    pub fn new(section: &str, allow: &str, deny: &str) -> Result<Self, ConfigError> {
        let list = |key: &str, text: &str| {
            Networks::parse(text).map_err(|why| ConfigError::Value { key: format!("{section}.{key}"), why })
        };
        Ok(Self { allow: list("allow", allow)?, deny: list("deny", deny)? })
    }

    /// Whether an address is served.
    pub fn serve(&self, address: IpAddr) -> bool {
        !self.deny.contains(address) && (self.allow.is_empty() || self.allow.contains(address))
    }
}

/// Addresses and networks, as an option lists them. The empty list has nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    /// The network's bits; the others are zero.
    bits: u128,
    prefix: u8,
    v4: bool,
}

impl Networks {
    /// Reads a list separated by commas; the error names what is none of them.
    pub fn parse(list: &str) -> Result<Self, String> {
        let words = list.split(',').map(str::trim).filter(|word| !word.is_empty());
        words.map(Network::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the address is in one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (bits, v4) = number(address.to_canonical());
        self.0.iter().any(|network| network.v4 == v4 && bits & mask(network.prefix, v4) == network.bits)
    }
}

impl Network {
    fn parse(word: &str) -> Result<Self, String> {
        let wrong = || format!("\"{word}\" is no address (192.0.2.7) and no network (10.0.0.0/8)");
        let (address, prefix) = match word.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| wrong())?)),
            None => (word, None),
        };
        let (bits, v4) = number(address.parse::<IpAddr>().map_err(|_| wrong())?);
        let longest = if v4 { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest);
        if prefix > longest {
            return Err(wrong());
        }
        match bits & mask(prefix, v4) == bits {
            true => Ok(Self { bits, prefix, v4 }),
            false => Err(format!("\"{word}\" has bits set behind its /{prefix}: write the network's own address")),
        }
    }
}

fn number(address: IpAddr) -> (u128, bool) {
    match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), true),
        IpAddr::V6(address) => (u128::from(address), false),
    }
}

/// Ones for the network's bits.
fn mask(prefix: u8, v4: bool) -> u128 {
    let (longest, all) = if v4 { (32, u128::from(u32::MAX)) } else { (128, u128::MAX) };
    all.checked_shl(u32::from(longest - prefix)).unwrap_or(0) & all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn networks_contain_what_they_say() {
        let list = Networks::parse("10.0.0.0/8, 192.0.2.7,fd00::/8 , 2001:db8::1,").unwrap();
        for inside in ["10.0.0.0", "10.255.255.255", "192.0.2.7", "::ffff:10.1.2.3", "fd12::1", "2001:db8::1"] {
            assert!(list.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["9.255.255.255", "11.0.0.0", "192.0.2.6", "fe00::1", "2001:db8::2", "::a00:1"] {
            assert!(!list.contains(outside.parse().unwrap()), "{outside}");
        }
        let all = Networks::parse("0.0.0.0/0").unwrap();
        assert!(all.contains("203.0.113.1".parse().unwrap()) && !all.contains("::1".parse().unwrap()));
        assert!(Networks::parse("::/0").unwrap().contains("::1".parse().unwrap()));
        assert!(Networks::parse(" ").unwrap().is_empty());
    }

    #[test]
    fn lists_say_whom_a_listener_serves() {
        let served = |allow: &str, deny: &str| {
            let lists = Lists::new("admin", allow, deny).unwrap();
            ["10.0.0.1", "10.1.0.1", "192.0.2.1"].map(|address| lists.serve(address.parse().unwrap()))
        };
        assert_eq!(served("", ""), [true, true, true]);
        assert_eq!(served("10.0.0.0/8", "10.1.0.0/16"), [true, false, false]);
        assert_eq!(served("", "192.0.2.1"), [true, true, false]);
        assert!(Lists::new("admin", "", "proxy").unwrap_err().to_string().contains("admin.deny"));
    }

    #[test]
    fn what_is_no_network_is_named() {
        for bad in ["proxy", "10.0.0.0/33", "10.0.0.1/8", "::/129", "10.0.0.0/-1", "10.0.0.0/", "1.2.3", "/8"] {
            assert!(Networks::parse(&format!("127.0.0.1,{bad}")).unwrap_err().contains(bad), "{bad}");
        }
    }
}
