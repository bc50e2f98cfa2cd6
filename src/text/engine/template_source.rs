//! Makes a template's source fit for minijinja: line ends, and what chat templates have beyond Jinja.

/// Line ends as Jinja reads them: all are newlines.
pub fn prepared(source: &str) -> String {
    without_generation_tags(&source.replace("\r\n", "\n").replace('\r', "\n"))
}

/// `{% generation %}` blocks only mark the assistant's words. `generation` becomes `with`, which has the same scope and leaves the text as it is. Whitespace marks stay.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    let mut raw = false;
    while let Some(start) = rest.find('{') {
        out += &rest[..start];
        rest = &rest[start..];
        if rest.starts_with("{%") {
            let (tag, name, after) = tag_at(rest);
            match name {
                "raw" if !raw => raw = true,
                "endraw" => raw = false,
                _ => {}
            }
            out += &match name {
                "generation" if !raw => tag.replacen("generation", "with", 1),
                "endgeneration" if !raw => tag.replacen("endgeneration", "endwith", 1),
                _ => tag.to_string(),
            };
            rest = after;
        } else {
            let end = if raw { 1 } else { skipped(rest) };
            out += &rest[..end];
            rest = &rest[end..];
        }
    }
    out + rest
}

/// Splits at a tag: its opening up to and with the name, the name, what follows.
fn tag_at(text: &str) -> (&str, &str, &str) {
    let inner = text[2..].trim_start_matches(['-', '+']).trim_start();
    let name = &inner[..inner.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inner.len())];
    let end = text.len() - inner.len() + name.len();
    (&text[..end], name, &text[end..])
}

/// The length of a comment or of a single brace.
fn skipped(text: &str) -> usize {
    if text.starts_with("{#") {
        return text.find("#}").map_or(text.len(), |end| end + 2);
    }
    1
}
