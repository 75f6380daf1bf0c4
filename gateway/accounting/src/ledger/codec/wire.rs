//! Fields as bytes: number, length, content.

use tollgate_domain::Money;

/// Bytes that are no record of this journal.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside a field.
    #[error("record ends inside a field")]
    Truncated,
    /// A field's content is not what its number says.
    #[error("field {0} of the record is malformed")]
    Malformed(u64),
    /// A field that every record of its type has is absent.
    #[error("record lacks its {0}")]
    Missing(&'static str),
}

/// Appends fields to a buffer.
pub(super) struct FieldWriter<'a>(pub(super) &'a mut Vec<u8>);

impl FieldWriter<'_> {
    #[inline]
    pub(super) fn bytes(&mut self, field: u64, content: &[u8]) {
        self.head(field, content.len());
        self.0.extend_from_slice(content);
    }

    pub(super) fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    pub(super) fn optional_text(&mut self, field: u64, text: Option<&str>) {
        if let Some(text) = text {
            self.text(field, text);
        }
    }

    /// A number; zero is what an absent field means and takes no room.
    #[inline]
    pub(super) fn number(&mut self, field: u64, number: u64) {
        if number != 0 {
            self.present_number(field, number);
        }
    }

    /// A number whose absence means something else than zero.
    #[inline]
    pub(super) fn present_number(&mut self, field: u64, number: u64) {
        let length = 8 - number.leading_zeros() as usize / 8;
        self.first_of(field, length, number.to_le_bytes());
    }

    /// A number that may be negative, sign in the lowest bit.
    #[inline]
    pub(super) fn signed(&mut self, field: u64, number: i64) {
        self.number(field, folded(number));
    }

    /// The same where absence means something else than zero.
    pub(super) fn present_signed(&mut self, field: u64, number: i64) {
        self.present_number(field, folded(number));
    }

    #[inline]
    pub(super) fn money(&mut self, field: u64, amount: Money) {
        let pico = amount.pico();
        let folded = ((pico << 1) ^ (pico >> 127)).cast_unsigned();
        let length = 16 - folded.leading_zeros() as usize / 8;
        self.first_of(field, length, folded.to_le_bytes());
    }

    /// Fields within a field. The length is filled in afterwards, three bytes wide.
    pub(super) fn nested(&mut self, field: u64, fill: impl FnOnce(&mut FieldWriter<'_>)) {
        self.varint(field);
        self.0.extend_from_slice(&[0; 3]);
        let at = self.0.len();
        fill(&mut FieldWriter(self.0));
        let length = self.0.len() - at;
        // A record is far below 2 MiB; a longer one is refused by the journal, not written.
        let digit = |shift: usize| (length >> shift & 0x7f) as u8;
        self.0[at - 3..at].copy_from_slice(&[digit(0) | 0x80, digit(7) | 0x80, digit(14)]);
    }

    /// Fields that were encoded before.
    pub(super) fn encoded(&mut self, fields: &[u8]) {
        self.0.extend_from_slice(fields);
    }

    /// The first `length` of some bytes: all are written, for a copy of known length needs no call,
    /// and the rest is taken back.
    #[inline]
    fn first_of<const N: usize>(&mut self, field: u64, length: usize, bytes: [u8; N]) {
        self.head(field, length);
        let content = self.0.len();
        self.0.extend_from_slice(&bytes);
        self.0.truncate(content + length);
    }

    /// A field's number and length, nearly always a byte each.
    #[inline]
    fn head(&mut self, field: u64, length: usize) {
        if field < 0x80 && length < 0x80 {
            self.0.extend_from_slice(&[field as u8, length as u8]);
        } else {
            self.varint(field);
            self.varint(length as u64);
        }
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

const fn folded(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

/// One field as it was found.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    pub(super) content: &'a [u8],
}

impl<'a> Field<'a> {
    pub(super) fn malformed(self) -> DecodeError {
        DecodeError::Malformed(self.number)
    }

    pub(super) fn text(self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.content).map_err(|_| self.malformed())
    }

    pub(super) fn array<const N: usize>(self) -> Result<[u8; N], DecodeError> {
        self.content.try_into().map_err(|_| self.malformed())
    }

    pub(super) fn number(self) -> Result<u64, DecodeError> {
        let mut bytes = [0; 8];
        bytes.get_mut(..self.content.len()).ok_or_else(|| self.malformed())?.copy_from_slice(self.content);
        Ok(u64::from_le_bytes(bytes))
    }

    pub(super) fn narrow<T: TryFrom<u64>>(self) -> Result<T, DecodeError> {
        T::try_from(self.number()?).map_err(|_| self.malformed())
    }

    pub(super) fn signed(self) -> Result<i64, DecodeError> {
        let folded = self.number()?;
        Ok((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }

    pub(super) fn money(self) -> Result<Money, DecodeError> {
        let mut bytes = [0; 16];
        bytes.get_mut(..self.content.len()).ok_or_else(|| self.malformed())?.copy_from_slice(self.content);
        let folded = u128::from_le_bytes(bytes);
        Ok(Money::from_pico((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed()))
    }
}

/// The fields of a record, one after the other.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0_u64;
        for shift in (0..63).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or(DecodeError::Truncated)?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(DecodeError::Truncated)
    }

    fn field(&mut self) -> Result<Field<'a>, DecodeError> {
        let number = self.varint()?;
        let length = usize::try_from(self.varint()?).map_err(|_| DecodeError::Truncated)?;
        let (content, rest) = self.0.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(Field { number, content })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}
