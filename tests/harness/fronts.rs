//! The same tests through every kind of listener.

/// Makes two tests of each function that takes a [`crate::harness::Front`], one for tcp and one for a unix socket.
#[macro_export]
macro_rules! fronts {
    ($($name:ident),+ $(,)?) => {
        mod tcp {
            $(#[test] fn $name() { super::$name($crate::harness::Front::Tcp) })+
        }
        mod unix {
            $(#[test] fn $name() { super::$name($crate::harness::Front::Unix) })+
        }
    };
}
