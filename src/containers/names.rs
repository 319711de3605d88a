//! Names for containers that nobody named: two words, such as `calm_heron`.

const QUALITIES: &[&str] = &[
    "able", "agile", "alert", "amber", "ample", "apt", "azure", "bold", "brave", "breezy",
    "bright", "brisk", "calm", "candid", "careful", "cheerful", "clear", "clever", "cosy", "crisp",
    "curious", "daring", "deft", "eager", "early", "earnest", "easy", "fair", "fancy", "fast",
    "fine", "firm", "fluent", "fond", "frank", "free", "fresh", "gentle", "glad", "golden", "good",
    "grand", "green", "happy", "hardy", "honest", "humble", "jolly", "keen", "kind", "large",
    "light", "little", "lively", "loyal", "lucid", "lucky", "mellow", "merry", "mild", "modest",
    "neat", "nimble", "noble", "patient", "plain", "polite", "prompt", "proud", "pure", "quick",
    "quiet", "rapid", "ready", "robust", "rosy", "round", "sharp", "silent", "silver", "simple",
    "sincere", "sleek", "smart", "smooth", "sober", "solid", "sound", "spry", "stable", "steady",
    "stout", "sturdy", "sunny", "swift", "tidy", "tranquil", "trusty", "upbeat", "vivid", "warm",
    "wise", "witty", "zesty",
];

const ANIMALS: &[&str] = &[
    "alpaca", "ant", "badger", "bat", "bear", "beaver", "bee", "bison", "boar", "bunting", "camel",
    "carp", "cat", "chamois", "cicada", "cobra", "cod", "condor", "coot", "crab", "crane",
    "cricket", "crow", "cuckoo", "curlew", "deer", "dingo", "dog", "dolphin", "dove", "duck",
    "eagle", "eel", "egret", "elk", "emu", "falcon", "ferret", "finch", "fox", "frog", "gannet",
    "gecko", "goat", "goose", "grouse", "gull", "hare", "hawk", "hedgehog", "heron", "hoopoe",
    "horse", "hound", "ibex", "ibis", "jackal", "jay", "kestrel", "kite", "kiwi", "koala", "lark",
    "lemur", "linnet", "lion", "lizard", "llama", "lynx", "magpie", "marmot", "marten", "mole",
    "moose", "moth", "mouse", "mule", "newt", "osprey", "otter", "owl", "panda", "pelican",
    "penguin", "pigeon", "pike", "plover", "pony", "puffin", "puma", "quail", "rabbit", "raven",
    "robin", "salmon", "seal", "shrew", "snail", "snipe", "sparrow", "squirrel", "stork",
    "swallow", "swan", "swift", "tapir", "tern", "thrush", "tiger", "toad", "trout", "turtle",
    "vole", "walrus", "weasel", "whale", "wolf", "wombat", "wren", "yak", "zebra",
];

/// A name made of two random numbers. After `attempt` others were taken it gets a digit more.
pub fn name(random: [u8; 4], attempt: u32) -> String {
    let pick = |words: &[&'static str], high: u8, low: u8| {
        words[usize::from(u16::from_be_bytes([high, low])) % words.len()]
    };
    let name = format!(
        "{}_{}",
        pick(QUALITIES, random[0], random[1]),
        pick(ANIMALS, random[2], random[3])
    );
    match attempt {
        0..=2 => name,
        more => format!("{name}{}", more - 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_two_words_of_which_there_are_many() {
        assert_eq!(name([0, 0, 0, 0], 0), "able_alpaca");
        assert_eq!(name([0, 1, 0, 1], 3), "agile_ant1");
        for list in [QUALITIES, ANIMALS] {
            let mut sorted = list.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), list.len(), "no word twice");
            assert!(
                list.iter()
                    .all(|word| word.len() > 2 && word.bytes().all(|b| b.is_ascii_lowercase()))
            );
        }
    }
}
