//! How deep components lie in components. Compiling takes memory and time with the square of that: 20 000 levels fit
//! into 240 KB and take 12 GiB.

/// The deepest that is compiled. Composed components have a handful of levels.
const DEEPEST: usize = 100;

/// What a WebAssembly file, and every component in it, begins with.
const HEADER: usize = 8;

/// The section that holds a component.
const COMPONENT: u8 = 4;

/// Whether a component has more levels than are compiled. What is no component is not deep.
pub(super) fn is_too_deep(component: &[u8]) -> bool {
    let mut levels = vec![component.get(HEADER..).unwrap_or_default()];
    while let Some(rest) = levels.pop() {
        let Some((id, contents, rest)) = section(rest) else {
            continue;
        };
        levels.push(rest);
        if id == COMPONENT {
            levels.push(contents.get(HEADER..).unwrap_or_default());
        }
        if levels.len() > DEEPEST {
            return true;
        }
    }
    false
}

/// Splits off the first section: its kind, its contents, and what follows. None at the end and for what is no section.
fn section(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (id, rest) = bytes.split_first()?;
    let mut length = 0;
    for (place, byte) in rest.iter().take(5).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let length = usize::try_from(length).ok()?;
            let (contents, rest) = rest[place + 1..].split_at_checked(length)?;
            return Some((*id, contents, rest));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(component: &[u8]) -> Vec<u8> {
        let mut length = component.len();
        let mut bytes = b"\0asm\x0d\0\x01\0\x04".to_vec();
        while length >= 0x80 {
            bytes.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        [&bytes, component].concat()
    }

    fn nested(depth: usize) -> Vec<u8> {
        let innermost = b"\0asm\x0d\0\x01\0".to_vec();
        (1..depth).fold(innermost, |inner, _| wrapped(&inner))
    }

    #[test]
    fn levels_are_counted() {
        assert!(!is_too_deep(&nested(DEEPEST)));
        assert!(is_too_deep(&nested(DEEPEST + 1)));
        let siblings = [nested(DEEPEST), nested(DEEPEST)[8..].to_vec()].concat();
        assert!(!is_too_deep(&siblings));
    }

    #[test]
    fn what_is_no_component_is_not_deep() {
        for bytes in [
            &b""[..],
            b"\0asm",
            b"\0asm\x0d\0\x01\0\x04",
            b"\0asm\x0d\0\x01\0\x04\xff\xff\xff\xff\xff\xff",
            b"\0asm\x0d\0\x01\0\x04\x03ab",
        ] {
            assert!(!is_too_deep(bytes));
        }
    }
}
