//! Reads what is no JSON the way Jackson does, to complain as it does.

/// How Jackson hides the payload from its own messages.
pub(super) const SOURCE: &str = "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled)";
const VALUES: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

/// Reads JSON as Jackson does, up to the first thing that is wrong. It keeps what is open on the heap: a payload
/// may be nothing but a million brackets.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

#[derive(Clone, Copy)]
struct Open {
    what: &'static str,
    close: u8,
    at: usize,
}

/// What is wrong, and where.
struct Wrong {
    message: String,
    at: usize,
}

/// What Jackson says of a payload that is no JSON.
pub(super) fn complaint(payload: &[u8]) -> String {
    Reader { bytes: payload, at: 0 }.complain()
}

impl Reader<'_> {
    fn complain(mut self) -> String {
        let wrong = match self.document() {
            Err(wrong) => wrong,
            // The two parsers differ on something that nobody has met yet.
            Ok(()) => Wrong { message: "Unexpected content".to_owned(), at: self.at },
        };
        format!("{}\n at {}", wrong.message, self.place(wrong.at))
    }

    fn place(&self, at: usize) -> String {
        let before = &self.bytes[..at.min(self.bytes.len())];
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        let column = at - memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1) + 1;
        format!("{SOURCE}; line: {line}, column: {column}]")
    }

    fn document(&mut self) -> Result<(), Wrong> {
        let mut open: Vec<Open> = Vec::new();
        self.space();
        if self.peek().is_none() {
            return Err(self.wrong("No content to map due to end-of-input"));
        }
        loop {
            self.begin_value(&mut open)?;
            if self.end_values(&mut open)? {
                return Ok(());
            }
        }
    }

    /// Reads a value up to its end, or up to where the first value in it is due.
    fn begin_value(&mut self, open: &mut Vec<Open>) -> Result<(), Wrong> {
        loop {
            self.space();
            let at = self.at;
            let (what, close) = match self.peek() {
                None => return Err(self.ended_between(open)),
                Some(b'{') => ("Object", b'}'),
                Some(b'[') => ("Array", b']'),
                Some(_) => return self.scalar(),
            };
            self.at += 1;
            self.space();
            if self.peek() == Some(close) {
                self.at += 1;
                return Ok(());
            }
            open.push(Open { what, close, at });
            if self.peek().is_none() {
                return Err(self.ended_inside(open));
            }
            if close == b'}' {
                self.name(open)?;
            }
        }
    }

    /// Reads what may follow a value, up to where the next one is due. Answers whether the document is complete.
    fn end_values(&mut self, open: &mut Vec<Open>) -> Result<bool, Wrong> {
        loop {
            self.space();
            match (open.last().copied(), self.peek()) {
                (None, None) => return Ok(true),
                (None, Some(_)) => {
                    return Err(self.unexpected("Expected space separating root-level values"));
                }
                (Some(_), None) => return Err(self.ended_inside(open)),
                (Some(container), Some(byte)) if byte == container.close => {
                    self.at += 1;
                    open.pop();
                }
                (Some(container), Some(b',')) => {
                    self.at += 1;
                    self.space();
                    if container.close == b'}' {
                        self.name(open)?;
                    }
                    return Ok(false);
                }
                (Some(container), Some(byte @ (b']' | b'}'))) => {
                    let Open { what, close, at } = container;
                    let (found, due) = (char::from(byte), char::from(close));
                    let start = self.place(at);
                    let message = format!(
                        "Unexpected close marker '{found}': expected '{due}' (for {what} starting at {start})"
                    );
                    return Err(self.wrong(message));
                }
                (Some(container), Some(_)) => {
                    let expected = format!("was expecting comma to separate {} entries", container.what);
                    return Err(self.unexpected(&expected));
                }
            }
        }
    }

    fn name(&mut self, open: &[Open]) -> Result<(), Wrong> {
        match self.peek() {
            None => return Err(self.ended_between(open)),
            Some(b'"') => self.string(": was expecting closing '\"' for name")?,
            Some(_) => return Err(self.unexpected("was expecting double-quote to start field name")),
        }
        self.space();
        match self.peek() {
            None => Err(self.ended_between(open)),
            Some(b':') => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(self.unexpected("was expecting a colon to separate field name and value")),
        }
    }

    fn scalar(&mut self) -> Result<(), Wrong> {
        match self.peek() {
            Some(b'"') => self.string(" in VALUE_STRING"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(byte) if is_identifier_start(byte) => self.token(),
            Some(_) | None => Err(self.unexpected(&format!("expected a valid value {VALUES}"))),
        }
    }

    fn token(&mut self) -> Result<(), Wrong> {
        for word in ["null", "true", "false"] {
            let end = self.at + word.len();
            let ends =
                self.bytes.get(end).is_none_or(|byte| !is_identifier_start(*byte) && !byte.is_ascii_digit());
            if self.bytes[self.at..].starts_with(word.as_bytes()) && ends {
                self.at = end;
                return Ok(());
            }
        }
        let mut token = String::from(char::from(self.bytes[self.at]));
        self.at += 1;
        while self.peek().is_some() {
            let letter = self.character()?;
            if !letter.is_alphanumeric() && letter != '_' && letter != '$' {
                break;
            }
            token.push(letter);
        }
        Err(self.wrong(format!("Unrecognized token '{token}': was expecting {VALUES}")))
    }

    fn number(&mut self) -> Result<(), Wrong> {
        if self.peek() == Some(b'-') {
            self.at += 1;
            if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                return Err(
                    self.unexpected("expected digit (0-9) to follow minus sign, for valid numeric value")
                );
            }
        }
        let leading_zero = self.peek() == Some(b'0');
        if self.digits() > 1 && leading_zero {
            return Err(self.wrong("Invalid numeric value: Leading zeroes not allowed"));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.unexpected("Decimal point not followed by a digit"));
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.unexpected("Exponent indicator not followed by a digit"));
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn string(&mut self, ended: &str) -> Result<(), Wrong> {
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(self.wrong(format!("Unexpected end-of-input{ended}"))),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape(ended)?,
                Some(byte) if byte < 0x20 => {
                    let what = described(char::from(byte));
                    self.at += 1;
                    return Err(self.wrong(format!(
                        "Illegal unquoted character ({what}): has to be escaped using backslash to be included in \
                         string value"
                    )));
                }
                Some(_) => drop(self.character()?),
            }
        }
    }

    fn escape(&mut self, ended: &str) -> Result<(), Wrong> {
        self.at += 1;
        match self.peek() {
            None => Err(self.wrong(format!("Unexpected end-of-input{ended}"))),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    match self.peek() {
                        Some(byte) if byte.is_ascii_hexdigit() => self.at += 1,
                        Some(_) => {
                            return Err(self.unexpected("expected a hex-digit for character escape sequence"));
                        }
                        None => {
                            return Err(self.wrong("Unexpected end-of-input in character escape sequence"));
                        }
                    }
                }
                Ok(())
            }
            Some(_) => {
                let letter = self.character()?;
                Err(self.wrong(format!("Unrecognized character escape {}", described(letter))))
            }
        }
    }

    /// One character of UTF-8.
    fn character(&mut self) -> Result<char, Wrong> {
        let rest = &self.bytes[self.at..];
        let text = match std::str::from_utf8(&rest[..rest.len().min(4)]) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&rest[..error.valid_up_to()]).unwrap_or_default(),
        };
        if let Some(letter) = text.chars().next() {
            self.at += letter.len_utf8();
            return Ok(letter);
        }
        let start = rest[0];
        let length = match start {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => {
                self.at += 1;
                return Err(self.wrong(format!("Invalid UTF-8 start byte 0x{start:x}")));
            }
        };
        for offset in 1..length {
            match rest.get(offset) {
                Some(0x80..=0xbf) => {}
                Some(byte) => {
                    self.at += offset + 1;
                    return Err(self.wrong(format!("Invalid UTF-8 middle byte 0x{byte:x}")));
                }
                None => {
                    self.at = self.bytes.len();
                    return Err(self.wrong("Unexpected end-of-input in VALUE_STRING"));
                }
            }
        }
        self.at += length;
        Err(self.wrong("Invalid UTF-8: it names no character"))
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Something else was due than the byte that comes now.
    fn unexpected(&self, expected: &str) -> Wrong {
        match self.peek() {
            Some(byte) => {
                let what = described(char::from(byte));
                self.wrong(format!("Unexpected character ({what}): {expected}"))
            }
            None => self.wrong(format!("Unexpected end-of-input: {expected}")),
        }
    }

    fn ended_between(&self, open: &[Open]) -> Wrong {
        let what = open.last().map_or("root", |open| open.what);
        self.wrong(format!("Unexpected end-of-input within/between {what} entries"))
    }

    fn ended_inside(&self, open: &[Open]) -> Wrong {
        let Some(open) = open.last() else { return self.ended_between(open) };
        let (what, start) = (open.what, self.place(open.at));
        self.wrong(format!(
            "Unexpected end-of-input: expected close marker for {what} (start marker at {start})"
        ))
    }

    fn wrong(&self, message: impl Into<String>) -> Wrong {
        Wrong { message: message.into(), at: self.at }
    }
}

/// Jackson looks at one byte here, and takes it for a character.
fn is_identifier_start(byte: u8) -> bool {
    let letter = char::from(byte);
    letter.is_alphabetic() || matches!(letter, '_' | '$' | '¢'..='¥')
}

fn described(letter: char) -> String {
    let code = u32::from(letter);
    if letter.is_control() {
        format!("(CTRL-CHAR, code {code})")
    } else if code > 255 {
        format!("'{letter}' (code {code} / 0x{code:x})")
    } else {
        format!("'{letter}' (code {code})")
    }
}
