//! The plugins of the tests: a few instructions each, made into components with the real contract.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve, WorldId};

use crate::config::{InstancePolicy, OnFailure, PluginConfig};

/// Memory, and an allocator that never frees.
const PRELUDE: &str = r#"
  (memory (export "memory") 4)
  (global $top (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
    (global.set $top (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
"#;

/// A component for a world of `wit/`. `imports` and `rest` are text of the core module, before and after the prelude.
pub(super) fn component(world: &str, imports: &str, rest: &str) -> Vec<u8> {
    let (resolve, world) = contract(world);
    let module = wat::parse_str(format!("(module {imports} {PRELUDE} {rest})")).unwrap();
    encode(&resolve, world, module)
}

/// A hook whose one function always answers the same; `data` is its memory from address 16.
pub(super) fn constant(world: &str, function: &str, parameters: usize, data: &str) -> Vec<u8> {
    let parameters = "i32 ".repeat(parameters);
    let function = format!(
        r#"(func (export "flocker:plugin/{function}") (param {parameters}) (result i32) (i32.const 16))"#
    );
    component(
        world,
        "",
        &format!(r#"{function} (data (i32.const 16) "{data}")"#),
    )
}

/// A `route` hook from the body of its function and its data. The function returns the address of a decision.
pub(super) fn route(body: &str, data: &str) -> Vec<u8> {
    let function = r#"(func (export "flocker:plugin/route@0.1.0#place") (param i32) (result i32)"#;
    component("route-hook", "", &format!("{function} {body}) {data}"))
}

/// A `route` hook that always answers the same; `data` is its memory from address 16, where the decision lies.
pub(super) fn answer(data: &str) -> Vec<u8> {
    route(
        "(i32.const 16)",
        &format!(r#"(data (i32.const 16) "{data}")"#),
    )
}

/// A `route` hook with a backend and a body, at most nine bytes long each.
pub(super) fn decision(backend: Option<&str>, body: Option<&str>) -> Vec<u8> {
    let option = |text: Option<&str>, at: u8| match text {
        Some(text) => format!(
            "\\01\\00\\00\\00\\{at:02x}\\00\\00\\00\\{:02x}\\00\\00\\00",
            text.len()
        ),
        None => "\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00".to_owned(),
    };
    let escape = |text: &str| text.replace('"', "\\22");
    let (first, second) = (option(backend, 64), option(body, 96));
    let texts = [(64, backend), (96, body)].map(|(at, text)| {
        format!(
            r#"(data (i32.const {at}) "{}")"#,
            escape(text.unwrap_or_default())
        )
    });
    let decision = format!(r#"(data (i32.const 16) "\00\00\00\00{first}{second}")"#);
    route("(i32.const 16)", &format!("{decision} {}", texts.concat()))
}

/// A component for the world `guest` of another package's text, whose functions all trap.
pub(super) fn foreign(wit: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("foreign.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    let module = dummy_module(
        &resolve,
        world,
        ManglingAndAbi::Legacy(wit_parser::LiftLowerAbi::Sync),
    );
    encode(&resolve, world, module)
}

pub(super) fn contract(world: &str) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("wit");
    let (package, _) = resolve.push_dir(folder).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    (resolve, world)
}

fn encode(resolve: &Resolve, world: WorldId, mut module: Vec<u8>) -> Vec<u8> {
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default()
        .module(&module)
        .unwrap()
        .validate(true)
        .encode()
        .unwrap()
}

/// A folder of plugin files.
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes the file and returns a configuration with small limits for it.
    pub(super) fn plugin(&self, name: &str, bytes: &[u8]) -> PluginConfig {
        let path: PathBuf = self.0.path().join(format!("{name}.wasm"));
        std::fs::write(&path, bytes).unwrap();
        PluginConfig {
            timeout: Duration::from_secs(2),
            memory: 1 << 20,
            instances: 2,
            headers: Vec::new(),
            config: json!({"text": "as it is", "list": [1, "two"]})
                .as_object()
                .unwrap()
                .clone(),
            ..PluginConfig::new(path, name.to_owned())
        }
    }
}

pub(super) fn within(milliseconds: u64, config: PluginConfig) -> PluginConfig {
    PluginConfig {
        timeout: Duration::from_millis(milliseconds),
        ..config
    }
}

pub(super) fn warm(config: PluginConfig) -> PluginConfig {
    PluginConfig {
        instance: Some(InstancePolicy::Warm),
        ..config
    }
}

pub(super) fn skip(config: PluginConfig) -> PluginConfig {
    PluginConfig {
        on_failure: OnFailure::Skip,
        ..config
    }
}

/// A `state` hook that writes one record after another and reads the last: used, key length, value length (minus one
/// for a deleted key), key, value.
pub(super) fn state() -> Vec<u8> {
    component("state-hook", "", STATE)
}

/// For the world `plugin`: every hook but `route`, of which only `state` works.
pub(super) fn all_but_route() -> String {
    let trap = |name: &str, parameters: usize| {
        let parameters = "i32 ".repeat(parameters);
        format!(
            r#"(func (export "flocker:plugin/{name}") (param {parameters}) (result i32) unreachable)"#
        )
    };
    let traps = [
        trap("request@0.1.0#handle", 1),
        trap("map@0.1.0#rewrite", 1),
        trap("start@0.1.0#rewrite", 1),
        trap("list@0.1.0#backends", 0),
        trap("registry-auth@0.1.0#lookup", 9),
        trap("event@0.1.0#observe", 2),
    ];
    format!("{} {STATE}", traps.concat())
}

pub(super) const STATE: &str = r#"
  (global $end (mut i32) (i32.const 4096))
  (func $same (param $a i32) (param $b i32) (param $n i32) (result i32)
    (block $differ
      (loop $next
        (if (i32.eqz (local.get $n)) (then (return (i32.const 1))))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br_if $differ (i32.ne (i32.load8_u (i32.add (local.get $a) (local.get $n)))
                               (i32.load8_u (i32.add (local.get $b) (local.get $n)))))
        (br $next)))
    (i32.const 0))
  (func $append (param $key i32) (param $length i32) (param $value i32) (param $size i32)
    (i32.store (global.get $end) (local.get $length))
    (i32.store offset=4 (global.get $end) (local.get $size))
    (global.set $end (i32.add (global.get $end) (i32.const 8)))
    (memory.copy (global.get $end) (local.get $key) (local.get $length))
    (global.set $end (i32.add (global.get $end) (local.get $length)))
    (if (i32.gt_s (local.get $size) (i32.const 0)) (then
      (memory.copy (global.get $end) (local.get $value) (local.get $size))
      (global.set $end (i32.add (global.get $end) (local.get $size))))))
  (func (export "flocker:plugin/state@0.1.0#get") (param $key i32) (param $length i32) (result i32)
    (local $at i32) (local $size i32)
    (i64.store (i32.const 16) (i64.const 0))
    (local.set $at (i32.const 4096))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (global.get $end)))
        (local.set $size (i32.load offset=4 (local.get $at)))
        (if (i32.eq (i32.load (local.get $at)) (local.get $length)) (then
          (if (call $same (i32.add (local.get $at) (i32.const 8)) (local.get $key) (local.get $length)) (then
            (i32.store (i32.const 20) (i32.ge_s (local.get $size) (i32.const 0)))
            (i32.store (i32.const 24) (i32.add (i32.add (local.get $at) (i32.const 8)) (local.get $length)))
            (i32.store (i32.const 28) (local.get $size))))))
        (if (i32.lt_s (local.get $size) (i32.const 0)) (then (local.set $size (i32.const 0))))
        (local.set $at (i32.add (i32.add (local.get $at) (i32.const 8))
                                (i32.add (i32.load (local.get $at)) (local.get $size))))
        (br $next)))
    (i32.const 16))
  (func (export "flocker:plugin/state@0.1.0#set") (param i32 i32 i32 i32) (result i32)
    (call $append (local.get 0) (local.get 1) (local.get 2) (local.get 3))
    (i32.store (i32.const 32) (i32.const 0))
    (i32.const 32))
  (func (export "flocker:plugin/state@0.1.0#delete") (param i32 i32) (result i32)
    (call $append (local.get 0) (local.get 1) (i32.const 0) (i32.const -1))
    (i32.store (i32.const 32) (i32.const 0))
    (i32.const 32))
"#;
