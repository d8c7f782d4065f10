//! Tags and text of an HTML page, as far as finding its links needs.

/// A piece of a page.
#[derive(Debug, PartialEq, Eq)]
pub enum Token {
    /// An opening tag.
    Open(Tag),
    /// A closing tag: its name in lower case.
    Close(String),
    /// Text between tags, character references decoded.
    Text(String),
}

/// An opening tag.
#[derive(Debug, PartialEq, Eq)]
pub struct Tag {
    /// Lower-case name.
    pub name: String,
    /// Lower-case names and decoded values.
    pub attributes: Vec<(String, String)>,
}

/// Splits a page into tags and text.
///
/// Comments and declarations are left out, and so is the content of `script` and `template`, which is no part of the
/// page; the content of `style` comes as one text, undecoded. Any input is accepted: an unfinished tag ends with it.
pub fn tokens(page: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        push_text(&mut out, &rest[..start]);
        let inner = &rest[start + 1..];
        if let Some(comment) = inner.strip_prefix("!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
        } else if inner.starts_with(['!', '?']) {
            rest = inner.find('>').map_or("", |end| &inner[end + 1..]);
        } else if let Some(close) = inner.strip_prefix('/') {
            let end = close.find('>').unwrap_or(close.len());
            out.push(Token::Close(close[..end].trim().to_ascii_lowercase()));
            rest = close.get(end + 1..).unwrap_or("");
        } else if inner.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let (tag, after) = tag(inner);
            rest = after;
            if matches!(tag.name.as_str(), "script" | "template" | "style") {
                let end = find_close(rest, &tag.name);
                if tag.name == "style" {
                    out.push(Token::Open(tag));
                    out.push(Token::Text(rest[..end].to_owned()));
                } else {
                    out.push(Token::Open(tag));
                }
                rest = &rest[end..];
            } else {
                out.push(Token::Open(tag));
            }
        } else {
            push_text(&mut out, "<");
            rest = inner;
        }
    }
    push_text(&mut out, rest);
    out
}

fn push_text(out: &mut Vec<Token>, text: &str) {
    if text.is_empty() {
        return;
    }
    let text = decode(text);
    match out.last_mut() {
        Some(Token::Text(before)) => before.push_str(&text),
        _ => out.push(Token::Text(text)),
    }
}

/// Position of `</name`, in any case, or the end.
fn find_close(text: &str, name: &str) -> usize {
    text.match_indices("</")
        .find(|(i, _)| text[i + 2..].get(..name.len()).is_some_and(|n| n.eq_ignore_ascii_case(name)))
        .map_or(text.len(), |(i, _)| i)
}

/// Reads a tag from its name on; returns it and what follows its `>`.
fn tag(text: &str) -> (Tag, &str) {
    let name_end = text.find(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>').unwrap_or(text.len());
    let name = text[..name_end].to_ascii_lowercase();
    let mut attributes = Vec::new();
    let mut rest = &text[name_end..];
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if let Some(after) = rest.strip_prefix('>') {
            return (Tag { name, attributes }, after);
        }
        if rest.is_empty() {
            return (Tag { name, attributes }, rest);
        }
        // A `=` in front belongs to the name, as browsers read it; so each round takes at least one character.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let end = rest[first..].find(|c: char| c.is_ascii_whitespace() || "=/>".contains(c));
        let end = end.map_or(rest.len(), |end| end + first);
        let attribute = rest[..end].to_ascii_lowercase();
        rest = rest[end..].trim_start();
        let mut value = "";
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start();
            (value, rest) = match after.chars().next() {
                Some(quote @ ('"' | '\'')) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
                _ => {
                    let end =
                        after.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(after.len());
                    after.split_at(end)
                }
            };
        }
        attributes.push((attribute, decode(value)));
    }
}

/// Decodes numeric character references and those named ones that stand for markup; others stay as they are.
fn decode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let reference = rest[1..].split_once(';').map(|(name, _)| name);
        match reference.and_then(character) {
            Some((c, length)) => {
                out.push(c);
                rest = &rest[length + 2..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// The character of a reference and the length of the reference's name.
fn character(name: &str) -> Option<(char, usize)> {
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        _ => {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => digits.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    };
    Some((c, name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(name: &str, attributes: &[(&str, &str)]) -> Token {
        let attributes = attributes.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        Token::Open(Tag { name: name.into(), attributes })
    }

    #[test]
    fn tags_text_and_references_are_told_apart() {
        let page = "<!DOCTYPE html><!-- <a href=no> --><P\nclass='x y' hidden>1 < 2 &amp;&#x41;&#66;&hearts;</P >\
                    <a href=b.html#c title=\"a > b\"/>t<script>if (a<b) '<a href=no>'</script><br>";
        let text = |t: &str| Token::Text(t.into());
        assert_eq!(
            tokens(page),
            [
                open("p", &[("class", "x y"), ("hidden", "")]),
                text("1 < 2 &AB&hearts;"),
                Token::Close("p".into()),
                open("a", &[("href", "b.html#c"), ("title", "a > b")]),
                text("t"),
                open("script", &[]),
                Token::Close("script".into()),
                open("br", &[]),
            ]
        );
    }

    #[test]
    fn style_is_text_and_template_is_not() {
        let page = "<style>a{background:url(x)}</style><template><p id=x></template>";
        let style = Token::Text("a{background:url(x)}".into());
        let got = tokens(page);
        assert_eq!(got[1], style);
        assert_eq!(got.len(), 5, "{got:?}");
    }

    /// Cut at every byte, a page still ends: no panic, no endless loop.
    #[test]
    fn cut_pages_end() {
        let page = "<!--ä--><a hré=\"ö&#x41;\" =x ='/>' b = c>ü</a><script></SCRIPT><style>&;<p/ =";
        for (i, _) in page.char_indices() {
            tokens(&page[..i]);
            tokens(&page[i..]);
        }
    }
}
