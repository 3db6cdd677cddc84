use std::collections::BTreeSet;

use super::*;

/// Returns the keys serde accepts where `text` has an unknown one.
fn accepted(text: &str, section: &str) -> Vec<String> {
    let error = toml::from_str::<file::File>(text).unwrap_err();
    let (unknown, known) = file::unknown_key(error.message()).unwrap();
    assert_eq!(unknown, "zzz");
    known
        .into_iter()
        .map(|key| format!("{section}{key}"))
        .collect()
}

#[test]
fn the_reference_lists_exactly_the_keys_of_the_file() {
    let accepted: BTreeSet<_> = [
        ("", ""),
        ("[[backend]]\n", "backend."),
        ("[[plugin]]\n", "plugin."),
        ("[network_driver.x]\n", "network_driver."),
        ("[volume_driver.x]\n", "volume_driver."),
    ]
    .iter()
    .flat_map(|(table, section)| accepted(&format!("{table}zzz = 1"), section))
    .collect();
    let listed: BTreeSet<_> = KEYS.iter().map(|key| key.name.to_owned()).collect();
    assert_eq!(listed, accepted);
    assert_eq!(listed.len(), KEYS.len(), "each is listed once");
}

#[test]
fn the_defaults_of_the_reference_are_the_real_ones() {
    const REQUIRED: &str = "[[backend]]\naddress = \"h:1\"\n[[plugin]]\npath = \"p.wasm\"\n";
    let written = Written::new(REQUIRED);
    let expected = written.load(Flags::default()).unwrap();
    for key in KEYS {
        let Some(default) = key.default else { continue };
        let text = match key.name.split_once('.') {
            Some(("backend", name)) => {
                REQUIRED.replace("[[plugin]]", &format!("{name} = {default}\n[[plugin]]"))
            }
            Some(("plugin", name)) => format!("{REQUIRED}{name} = {default}"),
            Some((table, name)) => format!("{REQUIRED}[{table}.x]\n{name} = {default}"),
            None if default == "[]" => continue,
            None => format!("{} = {default}\n{REQUIRED}", key.name),
        };
        fs::write(written.path("flockerd.toml"), &text).unwrap();
        assert_eq!(written.load(Flags::default()).unwrap(), expected, "{text}");
    }
    assert_eq!(loaded("backend = []\nplugin = []"), Config::default());
}
