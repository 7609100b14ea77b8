//! Shell patterns on both sides: what the list wants, and what an argument writes in place of a name.

/// Most elements of a pattern: no name of a file is longer, so that a longer one finds none.
const ELEMENTS_MAX: usize = 512;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Element {
    Literal(char),
    /// `?`, and a class that excludes.
    Any,
    /// `[a-z]`: ranges, with both ends.
    Class(Vec<(char, char)>),
    Star,
}

/// One part of a path as a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob {
    elements: Vec<Element>,
}

impl Glob {
    /// A part of the list's patterns, in which only `*` is special.
    pub(super) fn wanted(part: &str) -> Self {
        let element = |c| if c == '*' { Element::Star } else { Element::Literal(c) };
        Self { elements: part.chars().map(element).collect() }
    }

    /// A part that an argument wrote; nothing where it is too long for the name of a file.
    pub(super) fn written(part: &str) -> Option<Self> {
        let mut elements: Vec<Element> = Vec::new();
        let mut rest = part.chars();
        while let Some(c) = rest.next() {
            let element = match c {
                '*' if elements.last() == Some(&Element::Star) => continue,
                '*' => Element::Star,
                '?' => Element::Any,
                '[' => match class(rest.as_str()) {
                    Some((class, after)) => {
                        rest = after.chars();
                        class
                    }
                    None => Element::Literal('['),
                },
                c => Element::Literal(c),
            };
            elements.push(element);
            if elements.len() > ELEMENTS_MAX {
                return None;
            }
        }
        Some(Self { elements })
    }

    /// How many characters it names.
    pub(super) fn named(&self) -> usize {
        self.elements.iter().filter(|e| !matches!(e, Element::Any | Element::Star)).count()
    }

    /// How long a name it wants at least.
    pub(super) fn length(&self) -> usize {
        self.elements.iter().filter(|e| **e != Element::Star).count()
    }

    fn hidden(&self) -> bool {
        self.elements.first() == Some(&Element::Literal('.'))
    }

    /// Whether it is nothing but `*`.
    fn is_star(&self) -> bool {
        self.elements == [Element::Star]
    }

    /// Whether a plain name fits. At most the product of both lengths in steps.
    pub(super) fn fits(&self, name: &str) -> bool {
        let elements = &self.elements;
        let (mut at, mut rest) = (0, name.chars());
        // Where the last star stands, and what it has not taken yet.
        let mut star: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let mut after = rest.clone();
            let Some(c) = after.next() else { break };
            match elements.get(at) {
                Some(Element::Star) => {
                    star = Some((at, rest.clone()));
                    at += 1;
                    // A star of the list stands for something.
                    rest = after;
                }
                Some(element) if element.takes(c) => {
                    at += 1;
                    rest = after;
                }
                _ => {
                    let Some((place, mut left)) = star.take() else { return false };
                    left.next();
                    let mut next = left.clone();
                    if next.next().is_none() {
                        return false;
                    }
                    at = place + 1;
                    rest = next;
                    star = Some((place, left));
                }
            }
        }
        at == elements.len()
    }

    /// Whether some name fits both this part of the list and what was written.
    pub(super) fn meets(&self, written: &Self) -> bool {
        if self.is_star() {
            return true;
        }
        // As in shells: a star alone finds no hidden file.
        if written.is_star() && self.hidden() {
            return false;
        }
        // `*.json` asks for a kind of file, not for this one.
        let by_ending = matches!(&*written.elements, [Element::Star, Element::Literal('.'), ..]);
        let same = self.elements.len() == written.length() && !self.elements.contains(&Element::Star);
        if by_ending && self.elements.first() != Some(&Element::Star) && !same {
            return false;
        }
        if let (Some(Element::Literal(mine)), Some(Element::Literal(other))) =
            (self.elements.first(), written.elements.first())
            && mine != other
        {
            return false;
        }
        let width = written.elements.len();
        // `now[j]`: the elements so far on this side can meet the first `j` of the other.
        let mut now: Vec<bool> = (0..=width)
            .map(|j| written.elements.get(..j).is_some_and(|head| head.iter().all(|e| *e == Element::Star)))
            .collect();
        for mine in &self.elements {
            let mut next = vec![false; width + 1];
            for j in 0..=width {
                let was = |row: &[bool], at: usize| row.get(at).copied().unwrap_or(false);
                let other = j.checked_sub(1).and_then(|before| Some((before, written.elements.get(before)?)));
                let meets = match (mine, other) {
                    (Element::Star, None) => was(&now, j),
                    (_, None) => false,
                    (Element::Star, Some((before, _))) | (_, Some((before, Element::Star))) => {
                        was(&now, j) || was(&next, before)
                    }
                    (mine, Some((before, other))) => mine.shares(other) && was(&now, before),
                };
                if let Some(cell) = next.get_mut(j) {
                    *cell = meets;
                }
            }
            now = next;
        }
        now.last().copied().unwrap_or(false)
    }
}

impl Element {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Literal(literal) => *literal == c,
            Self::Any | Self::Star => true,
            Self::Class(ranges) => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)),
        }
    }

    /// Whether one character fits both.
    fn shares(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(c), other) | (other, Self::Literal(c)) => other.takes(*c),
            _ => true,
        }
    }
}

/// The class behind a `[`, and what follows it.
fn class(text: &str) -> Option<(Element, &str)> {
    let negated = text.starts_with(['!', '^']);
    let body = if negated { text.get(1..)? } else { text };
    // A `]` that stands first belongs to the class.
    let first = body.chars().next()?.len_utf8();
    let end = first + body.get(first..)?.find(']')?;
    let (inside, after) = (body.get(..end)?, body.get(end + 1..)?);
    if negated || inside.starts_with("[:") || inside.starts_with(':') {
        return Some((Element::Any, after.strip_prefix(']').unwrap_or(after)));
    }
    let chars: Vec<char> = inside.chars().collect();
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Some(from) = chars.get(at).copied() {
        let range = chars.get(at + 2).filter(|_| chars.get(at + 1) == Some(&'-'));
        ranges.push((from, *range.unwrap_or(&from)));
        at += if range.is_some() { 3 } else { 1 };
    }
    Some((Element::Class(ranges), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meets(wanted: &str, written: &str) -> bool {
        Glob::wanted(wanted).meets(&Glob::written(written).unwrap())
    }

    #[test]
    fn names_fit_what_the_list_wants() {
        for (wanted, name, fits) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "a", false),
            ("a*", "ab", true),
            ("*.pem", "x.pem", true),
            ("*.pem", ".pem", false),
            ("*.pem", "a.pem.pem", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "abc", false),
            ("*", "x", true),
            ("", "", true),
        ] {
            assert_eq!(Glob::wanted(wanted).fits(name), fits, "{wanted} {name}");
        }
    }

    #[test]
    fn shell_patterns_meet_what_the_list_wants() {
        for (wanted, written, expected) in [
            ("passwd", "p*", true),
            ("passwd", "pas[s]wd", true),
            ("passwd", "pas[a-z]wd", true),
            ("passwd", "pas[!a]wd", true),
            ("passwd", "pas[[:alpha:]]wd", true),
            ("passwd", "p??????", false),
            ("passwd", "*d", true),
            ("passwd", "*e", false),
            (".env", "*", false),
            (".env", ".e*", true),
            (".env", "*env", true),
            ("ssh_host_*_key", "ssh_host_?sa_k*", true),
            ("ssh_host_*_key", "ssh_hast*", false),
            (".env.*", ".e?v.prod", true),
            ("a[", "a[", true),
        ] {
            assert_eq!(meets(wanted, written), expected, "{wanted} {written}");
        }
        assert_eq!(Glob::written(&"a?".repeat(300)), None);
        assert!(meets("passwd", &format!("p{}d", "*".repeat(2000))));
    }
}
