//! The secrets that the demo's model server gives away: made at start, so that none stands in the source and none is
//! worth anything, and kept, so that `demo --check` can prove that they never came out.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{DemoError, LETTERS_AND_DIGITS, random_text};

/// Made-up secrets in the form of real ones.
pub struct Leaks {
    /// An AWS access key id.
    pub aws_access_key_id: String,
    /// The secret that belongs to it.
    pub aws_secret_access_key: String,
    /// A private RSA key as PEM.
    pub private_key_pem: String,
    /// A GitHub token with a right check sum.
    pub github_token: String,
}

impl Leaks {
    /// New ones.
    pub fn new() -> Result<Self, DemoError> {
        Ok(Self {
            aws_access_key_id: format!("AK{}{}", "IA", random_text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)?),
            aws_secret_access_key: random_text(LETTERS_AND_DIGITS, 40)?,
            private_key_pem: private_key_pem()?,
            github_token: github_token()?,
        })
    }

    /// What must never come out, each with a name. A private key is looked for line by line: one line is enough to
    /// have leaked.
    pub fn needles(&self) -> Vec<(&'static str, &str)> {
        let mut needles = vec![
            ("AWS access key id", self.aws_access_key_id.as_str()),
            ("AWS secret access key", self.aws_secret_access_key.as_str()),
            ("GitHub token", self.github_token.as_str()),
        ];
        let body = self.private_key_pem.lines().filter(|line| line.len() == PEM_LINE);
        needles.extend(body.map(|line| ("line of a private key", line)));
        needles
    }
}

const PEM_LINE: usize = 64;

fn private_key_pem() -> Result<String, DemoError> {
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| DemoError::Key)?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| DemoError::Key)?;
    let text = STANDARD.encode(der.as_ref());
    let label = concat!("PRIVATE", " KEY");
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    Ok(pem + &format!("-----END {label}-----"))
}

/// `ghp_`, 30 random characters, and their CRC-32 in base 62: scanners check it.
fn github_token() -> Result<String, DemoError> {
    let random = random_text(LETTERS_AND_DIGITS, 30)?;
    let mut sum = crc32(random.as_bytes());
    let mut check = [b'0'; 6];
    for digit in check.iter_mut().rev() {
        let index = usize::try_from(sum % 62).unwrap_or_default();
        *digit = LETTERS_AND_DIGITS.get(index).copied().unwrap_or(b'0');
        sum /= 62;
    }
    Ok(format!("gh{}{random}{}", "p_", String::from_utf8_lossy(&check)))
}

/// CRC-32 as in IEEE 802.3, bit by bit: it runs once.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |mut sum, byte| {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
        }
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_have_the_form_of_real_ones_and_differ_each_time() {
        let (one, two) = (Leaks::new().unwrap(), Leaks::new().unwrap());
        assert_eq!(
            (one.aws_access_key_id.len(), one.aws_secret_access_key.len(), one.github_token.len()),
            (20, 40, 40)
        );
        assert!(one.private_key_pem.lines().count() > 20);
        assert!(one.needles().len() > 20);
        for ((_, a), (_, b)) in one.needles().into_iter().zip(two.needles()) {
            assert_ne!(a, b);
        }
        assert_ne!(one.private_key_pem, two.private_key_pem);
    }

    #[test]
    fn the_check_sum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
