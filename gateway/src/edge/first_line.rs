//! The version in the first line of a connection's first request. Who knows a later minor version of HTTP/1 is answered by the latest
//! that we know (RFC 9110, 2.5), while hyper's parser refuses it. Where later requests begin is known to the parser only.

/// What comes before the minor version.
const BEFORE: &[u8] = b" HTTP/1.";

/// How far the line has been looked at.
#[derive(Debug, Default)]
pub struct FirstLine {
    is_over: bool,
    /// It has begun: there may be empty lines before.
    has_begun: bool,
    /// How much of [`BEFORE`] the end of what was looked at is.
    matched: usize,
}

// === impl FirstLine ===

impl FirstLine {
    /// Looks at what was read next, and makes a later minor version ours.
    pub fn mend(&mut self, read: &mut [u8]) {
        if self.is_over {
            return;
        }
        for byte in read {
            if self.matched == BEFORE.len() {
                if matches!(byte, b'2'..=b'9') {
                    *byte = b'1';
                }
                self.is_over = true;
                return;
            }
            match *byte {
                b'\r' | b'\n' if !self.has_begun => continue,
                b'\n' => {
                    self.is_over = true;
                    return;
                }
                _ => self.has_begun = true,
            }
            self.matched = match *byte {
                byte if byte == BEFORE[self.matched] => self.matched + 1,
                byte => usize::from(byte == BEFORE[0]),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of `text`, read in pieces of this size.
    fn mended(text: &str, size: usize) -> String {
        let mut line = FirstLine::default();
        let mut bytes = text.as_bytes().to_vec();
        bytes.chunks_mut(size).for_each(|piece| line.mend(piece));
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_later_minor_version_is_ours_wherever_it_is_cut() {
        for size in 1..40 {
            assert_eq!(
                mended("\r\nGET / HTTP/1.2\r\nA: HTTP/1.2\r\n\r\n", size),
                "\r\nGET / HTTP/1.1\r\nA: HTTP/1.2\r\n\r\n"
            );
            assert_eq!(mended("GET  HTTP/1. HTTP/1.9\r\n", size), "GET  HTTP/1. HTTP/1.9\r\n");
        }
    }

    #[test]
    fn all_else_is_left_as_it_is() {
        for same in [
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.2\r\n",
            "GET / HTTP/9.9\r\nA: HTTP/1.2\r\n",
            "GET /HTTP/1.2 HTTP/1.1\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n HTTP/1.5",
            "GET /\nA: HTTP/1.2\n",
        ] {
            assert_eq!(mended(same, 7), same);
        }
    }
}
