//! A real component, mutated: every result loads or is refused by name, and loading never crashes, hangs or grows.

use std::{fs, ops::Range, path::PathBuf, process::Command};

use tempfile::TempDir;

use crate::harness::{Output, binary, plugin, run};

/// How many files one process checks.
const BATCH: usize = 50;

/// The bytes that the process may have for data. A file of 90 KB that needs more is one that lies about its size.
const DATA: usize = 1 << 30;

/// The number 2³² - 1, and a count of as many.
const GIANT: [u8; 5] = [0xff, 0xff, 0xff, 0xff, 0x0f];

/// Numbers that look like chance and are the same every time (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

/// A section of a component or of a module in it: where its length is, and where its contents are.
struct Section {
    length: Range<usize>,
    contents: Range<usize>,
}

/// The sections, also those of the modules and components inside.
fn sections(bytes: &[u8], within: Range<usize>) -> Vec<Section> {
    let is_component = bytes[within.start + 6] == 1;
    let (mut at, mut found) = (within.start + 8, Vec::new());
    while at < within.end {
        let (id, start) = (bytes[at], at + 1);
        let mut end = start;
        let mut length = 0;
        loop {
            length |= usize::from(bytes[end] & 0x7f) << (7 * (end - start));
            end += 1;
            if bytes[end - 1] < 0x80 {
                break;
            }
        }
        let contents = end..end + length;
        if is_component && [1, 4].contains(&id) {
            found.extend(sections(bytes, contents.clone()));
        }
        at = contents.end;
        let length = start..end;
        found.push(Section { length, contents });
    }
    found
}

fn mutated(whole: &[u8], sections: &[Section], dice: &mut Dice, kind: usize) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let section = &sections[dice.below(sections.len())];
    match kind {
        0 => bytes.truncate(dice.below(whole.len())),
        1 => {
            for _ in 0..=dice.below(8) {
                bytes[dice.below(whole.len())] = u8::try_from(dice.below(256)).unwrap();
            }
        }
        // One bit, somewhere in what describes the component rather than in its code and data.
        2 => {
            let contents = &section.contents;
            let at = contents.start + dice.below(contents.len().clamp(1, 64));
            bytes[at.min(whole.len() - 1)] ^= 1 << dice.below(8);
        }
        3 => {
            bytes.splice(section.length.clone(), GIANT);
        }
        4 => {
            let start = section.contents.start;
            bytes.splice(start..(start + 1).min(section.contents.end), GIANT);
        }
        5 => {
            let at = dice.below(whole.len());
            let noise: Vec<u8> = (0..dice.below(64))
                .map(|_| u8::try_from(dice.below(256)).unwrap())
                .collect();
            bytes.splice(at..at, noise);
        }
        // The section once more, where another one begins.
        _ => {
            let other = sections[dice.below(sections.len())].length.start - 1;
            let copy = whole[section.length.start - 1..section.contents.end].to_vec();
            bytes.splice(other..other, copy);
        }
    }
    bytes
}

/// A component in a component in a component.
fn nested(depth: usize) -> Vec<u8> {
    let header = b"\0asm\x0d\0\x01\0";
    let mut bytes = header.to_vec();
    for _ in 0..depth {
        let mut outer = header.to_vec();
        outer.push(4);
        let mut length = bytes.len();
        while length >= 0x80 {
            outer.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        outer.push(u8::try_from(length).unwrap());
        outer.extend(&bytes);
        bytes = outer;
    }
    bytes
}

/// `flockerd plugin check` with a limit on its memory; `run` has one on its time.
fn check(folder: &TempDir, files: &[PathBuf]) -> Output {
    let flockerd = binary(folder.path());
    let mut limited = Command::new("prlimit");
    limited
        .arg(format!("--data={DATA}"))
        .arg(flockerd.get_program());
    limited.env_clear();
    limited.envs(
        flockerd
            .get_envs()
            .filter_map(|(key, value)| Some((key, value?))),
    );
    limited.args(["plugin", "check"]).args(files);
    run(&mut limited, b"")
}

fn is_told_of_every_file(folder: &TempDir, files: &[PathBuf]) -> usize {
    let output = check(folder, files);
    let text = output.text();
    assert!([0, 1].contains(&output.code), "{files:?}: {text}");
    assert!(!text.contains("panicked"), "{files:?}: {text}");
    let report = output.stdout();
    let mut loaded = 0;
    for file in files {
        let ok = report.contains(&format!("ok    {}\n", file.display()));
        let refused = report.contains(&format!("error {}: plugin ", file.display()));
        assert!(ok != refused, "{}: {report}", file.display());
        loaded += usize::from(ok);
    }
    loaded
}

#[test]
fn a_mutated_component_loads_or_is_refused() {
    let whole = fs::read(plugin("memory-state")).unwrap();
    let sections = sections(&whole, 0..whole.len());
    assert!(sections.len() > 20, "{} sections", sections.len());
    let folder = TempDir::new().unwrap();
    let mut dice = Dice(0x666c_6f63_6b65_7264);
    let files: Vec<PathBuf> = (0..400)
        .map(|number| {
            let file = folder.path().join(format!("m{number}.wasm"));
            fs::write(&file, mutated(&whole, &sections, &mut dice, number % 7)).unwrap();
            file
        })
        .collect();
    let loaded: usize = files
        .chunks(BATCH)
        .map(|batch| is_told_of_every_file(&folder, batch))
        .sum();
    assert!(loaded < files.len() / 2, "{loaded} of {} load", files.len());
}

#[test]
fn a_component_of_components_of_components_is_refused() {
    let folder = TempDir::new().unwrap();
    let files = [10, 1000, 20_000].map(|depth| {
        let file = folder.path().join(format!("n{depth}.wasm"));
        fs::write(&file, nested(depth)).unwrap();
        file
    });
    assert_eq!(is_told_of_every_file(&folder, &files), 0);
}
