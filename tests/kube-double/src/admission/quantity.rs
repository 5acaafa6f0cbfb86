//! Amounts as Kubernetes writes them: `500m`, `128Mi`, `1e3`.

/// An amount in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Quantity(i128);

impl Quantity {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits =
            text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
        let (number, suffix) = text.split_at(digits);
        let thousandths = match suffix {
            "n" => return Some(Self(decimal(number, 1000)? / 1_000_000_000)),
            "u" => return Some(Self(decimal(number, 1000)? / 1_000_000)),
            "m" => 1,
            "" => 1000,
            "k" => 1_000_000,
            "M" => 1_000_000_000,
            "G" => 1_000_000_000_000,
            "T" => 1_000_000_000_000_000,
            "P" => 1_000_000_000_000_000_000,
            "Ki" => 1000 << 10,
            "Mi" => 1000 << 20,
            "Gi" => 1000 << 30,
            "Ti" => 1000 << 40,
            "Pi" => 1000 << 50,
            _ => 1000 * 10_i128.checked_pow(exponent(suffix)?)?,
        };
        Some(Self(decimal(number, thousandths)?))
    }

    /// Of a JSON value; nothing if it is none.
    pub(crate) fn of(value: &serde_json::Value) -> Option<Self> {
        value.as_str().and_then(Self::parse)
    }

    pub(crate) fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Whole units, rounded up.
    pub(crate) fn units(self) -> u64 {
        u64::try_from((self.0 + 999) / 1000).unwrap_or(0)
    }

    pub(crate) fn thousandths(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }
}

impl std::iter::Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        Self(all.map(|it| it.0).sum())
    }
}

impl std::ops::Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

fn exponent(suffix: &str) -> Option<u32> {
    suffix.strip_prefix(['e', 'E'])?.parse().ok()
}

/// `number` times `factor`, without rounding on the way.
fn decimal(number: &str, factor: i128) -> Option<i128> {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part = if fraction.is_empty() {
        0
    } else {
        let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        fraction.parse::<i128>().ok()?.checked_mul(factor)? / scale
    };
    Some(sign * (whole.checked_mul(factor)? + part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_kubernetes_writes_them() {
        for (text, expected) in [
            ("1", Some(1000)),
            ("500m", Some(500)),
            ("0.5", Some(500)),
            ("128Mi", Some(134_217_728_000)),
            ("1e3", Some(1_000_000)),
            ("-1", Some(-1000)),
            ("128 MB", None),
            ("", None),
            ("Mi", None),
        ] {
            assert_eq!(Quantity::parse(text).map(|it| it.0), expected, "{text}");
        }
    }
}
