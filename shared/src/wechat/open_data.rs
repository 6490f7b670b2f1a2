//! What WeChat encrypts for the user to hand on: the user's profile and phone number.
//!
//! Source: mini program documentation, "Verifying and decrypting open data".

use aes::Aes128;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::Decryptor;
use cbc::cipher::{Block, BlockModeDecrypt as _, KeyIvInit as _};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _, ConstantTimeGreater as _};

use super::{AppId, SessionKey};
use crate::clock::Timestamp;
use crate::json::Object;

/// AES-128-CBC: bytes of a block, of a key and of an iv.
const BLOCK: usize = 16;

/// Encrypted data as the client got it: AES-128-CBC with the session_key, PKCS#7.
pub struct EncryptedData {
    ciphertext: Vec<u8>,
    iv: [u8; BLOCK],
}

/// What the client sent has not the form of encrypted data. Holds the name of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidField(pub &'static str);

/// For which app data was encrypted, and when.
#[derive(Clone, Debug, Deserialize)]
pub struct Watermark {
    /// The app.
    pub appid: AppId,
    timestamp: u64,
}

impl Watermark {
    /// When the data was encrypted.
    pub fn timestamp(&self) -> Timestamp {
        Timestamp::from_secs(self.timestamp)
    }
}

/// Data that was decrypted.
#[derive(Debug)]
pub struct OpenData<T> {
    /// The data.
    pub data: T,
    /// What it is good for.
    pub watermark: Watermark,
}

#[derive(Deserialize)]
struct Marked {
    watermark: Object<Watermark>,
}

impl EncryptedData {
    /// Reads `encryptedData` and `iv`.
    ///
    /// # Errors
    ///
    /// If one of them is not base64, or the iv has not 16 bytes.
    pub fn parse(encrypted_data: &str, iv: &str) -> Result<Self, InvalidField> {
        let ciphertext = STANDARD.decode(encrypted_data).map_err(|_| InvalidField("encryptedData"))?;
        let iv = STANDARD.decode(iv).ok().and_then(|iv| iv.try_into().ok()).ok_or(InvalidField("iv"))?;
        Ok(Self { ciphertext, iv })
    }

    /// Decrypts the data. `None` if it is not of this key, whatever is wrong: key, padding, UTF-8 or JSON.
    ///
    /// Whether the padding is right is looked at last and without a branch, so that neither the answer nor the time it
    /// takes says which of them it was.
    pub fn open<T: DeserializeOwned>(&self, key: &SessionKey) -> Option<OpenData<T>> {
        let key: [u8; BLOCK] = STANDARD.decode(key.expose()).ok()?.try_into().ok()?;
        let mut blocks: Vec<Block<Aes128>> =
            self.ciphertext.chunks(BLOCK).map(Block::<Aes128>::try_from).collect::<Result<_, _>>().ok()?;
        Decryptor::<Aes128>::new(&key.into(), &self.iv.into()).decrypt_blocks(&mut blocks);
        let plaintext = blocks.concat();
        let (len, is_padded) = unpadded(&plaintext)?;
        let opened = parse(plaintext.get(..len)?);
        opened.filter(|_| is_padded.into())
    }
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Option<OpenData<T>> {
    let Object(Marked { watermark: Object(watermark) }) = serde_json::from_slice(json).ok()?;
    let Object(data) = serde_json::from_slice(json).ok()?;
    Some(OpenData { data, watermark })
}

/// The length without PKCS#7 padding, and whether that is right. All of it is the length where it is not.
fn unpadded(plaintext: &[u8]) -> Option<(usize, Choice)> {
    let last_block = plaintext.last_chunk::<BLOCK>()?;
    let [.., padding] = *last_block;
    let mut right = padding.ct_gt(&0) & !padding.ct_gt(&16);
    for (from_end, byte) in (0_u8..).zip(last_block.iter().rev()) {
        let is_padding = padding.ct_gt(&from_end);
        right &= byte.ct_eq(&padding) | !is_padding;
    }
    let padding = u8::conditional_select(&0, &padding, right);
    Some((plaintext.len() - usize::from(padding), right))
}

/// Whether `signature` is WeChat's of `raw_data`: SHA-1 of the text and the session_key, as hexadecimal digits.
pub fn is_signed(raw_data: &str, signature: &RawDataSignature, key: &SessionKey) -> bool {
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, [raw_data, key.expose()].concat().as_bytes());
    digest.as_ref().ct_eq(&signature.0).into()
}

/// The signature of a profile.
#[derive(Clone, Copy, Debug)]
pub struct RawDataSignature([u8; 20]);

impl RawDataSignature {
    /// Reads a signature: 40 hexadecimal digits.
    ///
    /// # Errors
    ///
    /// If it is something else.
    pub fn parse(hex: &str) -> Result<Self, InvalidField> {
        let invalid = InvalidField("signature");
        let mut bytes = [0; 20];
        if hex.len() != 2 * bytes.len() || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(invalid);
        }
        for (byte, digits) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| invalid)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| invalid)?;
        }
        Ok(Self(bytes))
    }
}
