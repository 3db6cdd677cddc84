use super::*;

#[test]
fn what_is_wrong_is_said_with_its_place_and_a_hint() {
    let cases = [
        (
            "listn = []",
            "1:1: unknown key \"listn\"",
            "did you mean \"listen\"?",
        ),
        (
            "\n\n[[backend]]\naddress = \"h:1\"\nlabel = {}",
            "5:1: unknown key \"label\"",
            "did you mean \"labels\"?",
        ),
        (
            "[[plugin]]\npath = \"a\"\nonfailure = \"skip\"",
            "3:1: unknown key \"onfailure\"",
            "did you mean \"on_failure\"?",
        ),
        (
            "[[backend]]\nurl = \"h:1\"",
            "2:1: unknown key \"url\"",
            "the keys here are name, address, labels",
        ),
        (
            "[[backend]]\nname = \"n\"",
            "1:1: missing field `address`",
            "the README lists every key with its form",
        ),
        (
            "log = true",
            "1:7: invalid type: boolean `true`, expected a string or a whole number",
            "the README lists every key with its form",
        ),
        (
            "listen = [\"h\"]",
            "1:11: `h` is not an address to listen on",
            "write tcp://host:port or unix:///path",
        ),
        (
            "[[plugin]]\npath = \"a\"\nhttp = [\"ok:1\", \"http://a/b\"]",
            "3:17: `http://a/b` is not a host that a plugin can be granted",
            "write consul.internal:8500, https://vault.internal or *.example.org, without a path",
        ),
        (
            "[[plugin]]\npath = \"a\"\nenv = [\"=x\"]",
            "3:8: `` is not the name of a variable",
            "write KEY for flockerd's own, or KEY=value",
        ),
        (
            "[[plugin]]\npath = \"a\"\nclocks = \"slow\"",
            "3:10: `slow` has no meaning here",
            "write fixed or real",
        ),
        (
            "grace = 5",
            "1:9: `5` is not a duration",
            "write a whole number and a unit: 250ms, 5s, 1m or 1h",
        ),
        (
            "probe_interval = \"0s\"",
            "1:18: the duration is zero",
            "give at least 1ms",
        ),
        (
            "pull = \"both\"",
            "1:8: `both` has no meaning here",
            "write client or proxy",
        ),
        (
            "publish = \"on\"",
            "1:11: `on` has no meaning here",
            "write off or forward",
        ),
        (
            "publish_address = \"localhost\"",
            "1:19: `localhost` is not an IP address",
            "write one such as 0.0.0.0, 127.0.0.1 or ::",
        ),
        (
            "strategy = \"pack\"",
            "1:12: `pack` has no meaning here",
            "write spread",
        ),
        (
            "state = \"\"",
            "1:9: the state has no path",
            "write memory, plugin or a path",
        ),
        (
            "# wo die Hühner wohnen\nlisten = [\"tcp://h:1\", \"h\"]",
            "2:24: `h` is not an address to listen on",
            "write tcp://host:port or unix:///path",
        ),
        (
            "[[backend]]\naddress = \"h:1\"\nlabels = { a = \"1\", \"b c\" = \"2\" }",
            "3:29: `b c=2` is not a label",
            "write key=value, the key of letters, digits, `.`, `_`, `-` and `/`",
        ),
        (
            "[[plugin]]\npath = \"my plugin.wasm\"",
            "2:8: `my plugin` is not a name",
            "use at most 64 letters, digits, `.`, `_`, `-` and `:`",
        ),
        (
            "[[plugin]]\npath = \"p\"\nmemory = \"5GiB\"",
            "3:10: `5GiB` is more than a component can use",
            "give at most 4GiB",
        ),
        (
            "[[plugin]]\npath = \"p\"\ninstances = 0",
            "3:13: `0` is not a number of instances",
            "give at least 1",
        ),
        (
            "[[plugin]]\npath = \"p\"\nheaders = [\"a b\"]",
            "3:12: `a b` is not the name of a header",
            "write one such as user-agent",
        ),
    ];
    for (text, message, hint) in cases {
        let found = Written::new(text).problem();
        assert_eq!(
            found,
            (format!("flockerd.toml:{message}"), hint.to_owned()),
            "{text}"
        );
    }
}

#[test]
fn syntax_errors_have_a_place() {
    for (text, place) in [
        ("listen = [", "1:11: "),
        ("\n[[backend]\n", "2:"),
        ("a b", "1:"),
    ] {
        let (message, _) = Written::new(text).problem();
        assert!(
            message.starts_with(&format!("flockerd.toml:{place}")),
            "{message}"
        );
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn a_bad_log_filter_is_refused_where_it_stands() {
    let (message, hint) = Written::new("log = \"flockerd=loud\"").problem();
    let start = "flockerd.toml:1:7: `flockerd=loud` is not a log filter: ";
    assert!(message.starts_with(start), "{message}");
    assert_eq!(hint, "write a level such as debug, or info,flockerd=trace");
}

#[test]
fn all_wrong_values_are_said_at_once() {
    let text = "grace = \"x\"\nbody_limit = \"x\"\nprobe_interval = \"x\"";
    let (message, hint) = Written::new(text).problem();
    assert_eq!(
        message,
        "flockerd.toml:3:18: `x` is not a duration; flockerd.toml:1:9: `x` is not a duration; \
         flockerd.toml:2:14: `x` is not a size"
    );
    assert_eq!(
        hint,
        "write a whole number and a unit: 250ms, 5s, 1m or 1h; \
         write bytes, or a whole number and a unit: 512KiB, 64MiB or 1GiB"
    );
}

#[test]
fn the_whole_must_make_sense() {
    let cases = [
        ("listen = []", "there is nowhere to listen"),
        (
            "[[backend]]\naddress = \"h:1\"\n[[backend]]\naddress = \"h:2\"",
            "two backends have the name `h`",
        ),
        (
            "[[plugin]]\npath = \"a/p.wasm\"\n[[plugin]]\npath = \"b/p.wasm\"",
            "two plugins have the name `p`",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(Written::new(text).problem().0, message);
    }
    let twice = Flags {
        backend: vec!["/run/a.sock /run/b.sock".to_owned()],
        ..Flags::default()
    };
    let problem = Config::load(&twice).unwrap_err();
    assert_eq!(problem.message, "two backends have the name `local`");
}

#[test]
fn a_missing_file_is_named() {
    let config = Some("/nowhere/flockerd.toml".into());
    let problem = Config::load(&Flags {
        config,
        ..Flags::default()
    })
    .unwrap_err();
    assert!(
        problem
            .to_string()
            .starts_with("cannot read /nowhere/flockerd.toml: "),
        "{problem}"
    );
}
