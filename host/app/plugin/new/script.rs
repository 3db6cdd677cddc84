//! A plugin in Python, JavaScript or C: its source, the contract, and a script that builds it.

use super::{File, contract, filled};

/// What a language has besides the contract: paths and texts, in which `{module}` is the plugin's name.
pub(super) struct Template {
    pub(super) lang: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// Made from the contract by its generator.
    bindings: &'static [(&'static str, &'static [u8])],
}

pub(super) const TEMPLATES: &[Template] = &[
    Template {
        lang: "python",
        files: &[
            ("{module}.py", include_str!("python/plugin.py.txt")),
            ("build", include_str!("python/build.txt")),
            ("README.md", include_str!("python/README.md.txt")),
        ],
        bindings: &[],
    },
    Template {
        lang: "javascript",
        files: &[
            ("{module}.mjs", include_str!("javascript/plugin.mjs.txt")),
            ("build", include_str!("javascript/build.txt")),
            ("README.md", include_str!("javascript/README.md.txt")),
        ],
        bindings: &[],
    },
    Template {
        lang: "c",
        files: &[
            ("{module}.c", include_str!("c/plugin.c.txt")),
            ("build", include_str!("c/build.txt")),
            ("README.md", include_str!("c/README.md.txt")),
        ],
        bindings: &[
            (
                "json.c",
                include_bytes!("../../../../plugins/route-c/json.c"),
            ),
            (
                "json.h",
                include_bytes!("../../../../plugins/route-c/json.h"),
            ),
            (
                "route_hook.c",
                include_bytes!("../../../../plugins/route-c/route_hook.c"),
            ),
            (
                "route_hook.h",
                include_bytes!("../../../../plugins/route-c/route_hook.h"),
            ),
            (
                "route_hook_component_type.o",
                include_bytes!("../../../../plugins/route-c/route_hook_component_type.o"),
            ),
        ],
    },
];

impl Template {
    pub(super) fn files(&self, name: &str) -> Vec<File> {
        let own = self.files.iter();
        let own = own.map(|(path, text)| File::text(filled(path, name), filled(text, name)));
        let bindings = self.bindings.iter();
        let bindings = bindings.map(|(path, bytes)| File::bytes(*path, *bytes));
        let contract = contract::FILES.iter();
        let contract = contract.map(|(path, text)| File::text(*path, *text));
        let ignored = File::text(".gitignore", "/tools\n/*.wasm\n__pycache__\n");
        own.chain(bindings)
            .chain(contract)
            .chain([ignored])
            .collect()
    }
}
