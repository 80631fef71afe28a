//! Words for conditions and events.

/// At most `most` bytes of `words`, with `…` at the end if that is not all.
pub(super) fn bounded(words: &str, most: usize) -> String {
    if words.len() <= most {
        return words.to_owned();
    }
    let end = "…";
    let cut = (0..=most.saturating_sub(end.len())).rev().find(|at| words.is_char_boundary(*at)).unwrap_or(0);
    format!("{}{end}", &words[..cut])
}

/// The first few of `all`, and how many there are besides.
pub(super) fn listed(all: &[String], most: usize) -> String {
    let mut words = all.iter().take(most).map(String::as_str).collect::<Vec<_>>().join("; ");
    if all.len() > most {
        words.push_str(&format!("; and {} more", all.len() - most));
    }
    words
}

/// A label for metrics as a reason: `ImagePull` for `image_pull`.
pub(super) fn reason(label: &str) -> String {
    let capital = |word: &str| word.split_at_checked(1).map(|(first, rest)| first.to_ascii_uppercase() + rest);
    label.split('_').filter_map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_become_reasons() {
        assert_eq!(reason("image_pull"), "ImagePull");
        assert_eq!(reason("api_server"), "ApiServer");
        assert_eq!(reason("exited"), "Exited");
    }

    #[test]
    fn words_are_cut_between_characters() {
        assert_eq!(bounded("short", 5), "short");
        assert_eq!(bounded("a bit longer", 6), "a b…");
        assert_eq!(bounded("ääää", 7), "ää…");
    }

    #[test]
    fn a_list_says_how_many_are_left_out() {
        let all = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(listed(&all, 3), "a; b; c");
        assert_eq!(listed(&all, 1), "a; and 2 more");
    }
}
