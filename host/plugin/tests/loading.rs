//! What loads, and what the author of a plugin that does not is told.

use super::*;

async fn error(bytes: &[u8]) -> LoadError {
    let folder = Folder::new();
    match Plugins::load(
        &[folder.plugin("bad", bytes)],
        Compiler::default(),
        Registries::default(),
    )
    .await
    {
        Ok(_) => panic!("it loaded"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_plugin_that_does_not_fit_is_told_apart() {
    let other = "package flocker:plugin@0.2.0; interface route { place: func(); } world guest { export route; }";
    let mistyped = "package flocker:plugin@0.1.3; interface route { place: func(); } world guest { export route; }";
    let unknown =
        "package flocker:plugin@0.1.0; interface fly { fly: func(); } world guest { export fly; }";
    let foreign =
        "package wasi:nn@0.2.6; interface graph { load: func(); } world guest { import graph; }";
    let keyvalue = "package wasi:keyvalue@0.2.0-rc.1; interface store { open: func(); } world guest { import store; }";
    let missing = "package flocker:plugin@0.1.0; interface route { place: func(); } interface log { shout: func(); }
        world guest { import log; export route; }";
    let none = "package my:tool@1.0.0; world guest { export run: func(); }";
    for (bytes, message, hint) in [
        (
            wat::parse_str("(module)").unwrap(),
            "is a core module, not a component",
            "wasm32-wasip2",
        ),
        (
            b"\0asm\x0d\0\x01\0cut".to_vec(),
            "is not a valid component",
            "build it again",
        ),
        (
            b"hello".to_vec(),
            "is not a valid component",
            "build it again",
        ),
        (
            guests::foreign(other),
            "it was built for flocker:plugin@0.2.0, this flockerd speaks 0.1.0",
            "wit/",
        ),
        (
            guests::foreign(mistyped),
            "its route hook has the wrong type",
            "wit/",
        ),
        (
            guests::foreign(unknown),
            "it exports flocker:plugin/fly@0.1.0, which is no hook",
            "registry-auth",
        ),
        (
            guests::foreign(foreign),
            "it imports wasi:nn/graph@0.2.6, which flockerd does not offer",
            "WASI 0.2",
        ),
        (
            guests::foreign(keyvalue),
            "it imports wasi:keyvalue/store@0.2.0-rc.1, which flockerd does not offer",
            "0.2.0-draft2",
        ),
        (guests::foreign(missing), "its imports do not fit", "wit/"),
        (
            guests::foreign(none),
            "it exports no hook",
            "export one or more of",
        ),
    ] {
        let error = error(&bytes).await;
        assert!(error.to_string().starts_with("plugin bad: "), "{error}");
        assert!(error.to_string().contains(message), "{error}");
        assert!(error.hint().contains(hint), "{error}: {}", error.hint());
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let folder = Folder::new();
    let mut config = folder.plugin("gone", b"");
    let path = config.source.path().unwrap().with_extension("absent");
    config.source = path.into();
    let error = Plugins::load(&[config], Compiler::default(), Registries::default())
        .await
        .err()
        .unwrap();
    assert!(error.to_string().contains("cannot read "), "{error}");
    assert!(
        error.to_string().contains("gone.absent: No such file"),
        "{error}"
    );
}

#[tokio::test]
async fn a_plugin_that_cannot_start_is_found_at_once() {
    let folder = Folder::new();
    let mut config = folder.plugin("fat", &guests::decision(None, None));
    config.memory = 1 << 16;
    let error = Plugins::load(&[config], Compiler::default(), Registries::default())
        .await
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("it cannot be started"),
        "{error}"
    );
    let start = guests::component(
        "state-hook",
        "",
        &format!("{}(func $trap unreachable) (start $trap)", guests::STATE),
    );
    let error = self::error(&start).await;
    assert!(
        error
            .to_string()
            .contains("it cannot be started: it panicked"),
        "{error}"
    );
}

#[tokio::test]
async fn without_addresses_for_a_pool_instances_are_made_on_demand() {
    let folder = Folder::new();
    let mut config = folder.plugin("many", &guests::decision(Some("node1"), None));
    config.instances = 100_000;
    assert_eq!(
        place(&plugins(&[config]).await)
            .await
            .unwrap()
            .backend
            .as_deref(),
        Some("NODE1")
    );
}

#[tokio::test]
async fn what_loaded_is_told() {
    let folder = Folder::new();
    let configs = [
        folder.plugin("place", &guests::decision(None, None)),
        folder.plugin("keep", &guests::state()),
    ];
    let loaded = Plugins::load(&configs, Compiler::default(), Registries::default())
        .await
        .unwrap();
    let infos = loaded.infos();
    assert_eq!(
        (infos[0].name.as_str(), infos[0].hooks.as_slice()),
        ("place", &[Hook::Route][..])
    );
    assert_eq!(
        (infos[1].name.as_str(), infos[1].hooks.as_slice()),
        ("keep", &[Hook::State][..])
    );
    assert_eq!(infos[0].digest.len(), 64);
    assert_ne!(infos[0].digest, infos[1].digest);
    assert!(loaded.has(Hook::State) && !loaded.has(Hook::Map));
}

#[tokio::test]
async fn every_hook_of_the_contract_is_found() {
    let (resolve, world) = guests::contract("plugin");
    let exports = resolve.worlds[world]
        .exports
        .keys()
        .map(|key| resolve.name_world_key(key));
    let named: Vec<String> = Hook::ALL
        .iter()
        .map(|hook| format!("flocker:plugin/{}@0.1.0", hook.name()))
        .collect();
    assert_eq!(exports.collect::<Vec<_>>(), named);
}
