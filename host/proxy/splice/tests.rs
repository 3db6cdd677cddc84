//! Tests of joined sockets: what arrives, and what they hold of the pool while they are joined.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    process::Command,
    time::Duration,
};

use rand::RngExt;
use rustix::{
    pipe::{fcntl_getpipe_size, fcntl_setpipe_size, pipe},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    task::JoinHandle,
    time::timeout,
};

use super::{limits::Limits, *};

/// Room for one session, of a full-sized pipe each way.
const ROOM: Limits = Limits {
    count: 2,
    bytes: 512 << 10,
    size: 256 << 10,
};
const NONE: Limits = Limits { count: 0, ..ROOM };

async fn tcp() -> (Socket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    (Socket::tcp(listener.accept().await.unwrap().0), far)
}

fn end(socket: Socket, early: &'static str) -> End {
    End {
        socket,
        early: early.into(),
        pause: Duration::ZERO,
    }
}

/// A client and a daemon whose sockets are joined.
struct Session {
    client: TcpStream,
    daemon: TcpStream,
    joined: JoinHandle<io::Result<(u64, u64)>>,
}

async fn session(pipes: &Arc<Pipes>) -> Session {
    let ((near, client), (far, daemon)) = (tcp().await, tcp().await);
    let pipes = pipes.clone();
    let joined = tokio::spawn(async move { join(end(near, ""), end(far, ""), &pipes).await });
    Session {
        client,
        daemon,
        joined,
    }
}

/// Bytes that tell their place.
fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).map(|n| (n % 251) as u8).collect()
}

/// Writes while reading at the other end, and compares.
async fn moved(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) {
    let mut heard = vec![0; bytes.len()];
    let (sent, read) = tokio::join!(from.write_all(bytes), to.read_exact(&mut heard));
    sent.unwrap();
    read.unwrap();
    assert!(heard == bytes, "{} other bytes arrive", bytes.len());
}

/// Waits until no pipe is taken.
async fn all_given_back(pipes: &Arc<Pipes>) {
    let given_back = async {
        while pipes.counted().1 > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), given_back).await.unwrap();
}

#[tokio::test]
async fn both_directions_flow_and_half_close_passes() {
    let (near, mut client) = tcp().await;
    let (unix, mut daemon) = UnixStream::pair().unwrap();
    let pipes = Pipes::within(ROOM);
    let joined = tokio::spawn(async move {
        join(
            end(near, "early "),
            end(Socket::Unix(unix), "hello "),
            &pipes,
        )
        .await
    });
    client.write_all(b"stdin").await.unwrap();
    client.shutdown().await.unwrap();
    let mut heard = String::new();
    daemon.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "early stdin");
    daemon
        .write_all(b"answer after the end of input")
        .await
        .unwrap();
    drop(daemon);
    heard.clear();
    client.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "hello answer after the end of input");
    assert_eq!(joined.await.unwrap().unwrap(), (11, 35));
}

#[tokio::test]
async fn an_echo_takes_no_pipe() {
    let pipes = Pipes::within(ROOM);
    let mut session = session(&pipes).await;
    for length in [1, 100, 4096, 32 << 10] {
        let bytes = pattern(length);
        for _ in 0..10 {
            moved(&mut session.client, &mut session.daemon, &bytes).await;
            moved(&mut session.daemon, &mut session.client, &bytes).await;
        }
    }
    assert_eq!(pipes.counted(), (0, 0));
}

#[tokio::test]
async fn bulk_takes_a_pipe_and_gives_it_back() {
    let pipes = Pipes::within(ROOM);
    let mut session = session(&pipes).await;
    let bytes = pattern(8 << 20);
    moved(&mut session.daemon, &mut session.client, &bytes).await;
    all_given_back(&pipes).await;
    assert_eq!(pipes.counted(), (1, 0));
    // Those that come later use it again.
    moved(&mut session.client, &mut session.daemon, &bytes).await;
    all_given_back(&pipes).await;
    assert_eq!(pipes.counted(), (1, 0));
    drop(session);
    all_given_back(&pipes).await;
}

#[tokio::test(start_paused = true)]
async fn pipes_that_nobody_needs_are_closed() {
    let pipes = Pipes::within(ROOM);
    let both = [pipes.take().unwrap(), pipes.take().unwrap()];
    assert!(pipes.take().is_none());
    drop(both);
    assert_eq!(pipes.counted(), (2, 0));
    // One is needed all the time, the other not.
    for _ in 0..30 {
        drop(pipes.take().unwrap());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(pipes.counted(), (1, 0));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(pipes.counted(), (0, 0));
    assert!(pipes.take().is_some());
}

#[tokio::test]
async fn without_room_for_pipes_everything_is_copied() {
    let small = Limits {
        size: 32 << 10,
        ..ROOM
    };
    let few_bytes = Limits {
        bytes: 128 << 10,
        ..ROOM
    };
    for limits in [NONE, small, few_bytes] {
        let pipes = Pipes::within(limits);
        let mut session = session(&pipes).await;
        let bytes = pattern(5_000_000);
        moved(&mut session.daemon, &mut session.client, &bytes).await;
        moved(&mut session.client, &mut session.daemon, &bytes).await;
        assert_eq!(pipes.counted(), (0, 0));
    }
}

#[tokio::test]
async fn streams_that_wait_for_their_readers_share_the_budget() {
    let pipes = Pipes::within(ROOM);
    let bytes = pattern(16 << 20);
    let mut sessions = Vec::new();
    for _ in 0..4 {
        let Session {
            client,
            mut daemon,
            joined,
        } = session(&pipes).await;
        let sent = bytes.clone();
        let writing = tokio::spawn(async move { daemon.write_all(&sent).await });
        sessions.push((client, writing, joined));
    }
    for (mut client, writing, joined) in sessions {
        let mut heard = vec![0; bytes.len()];
        client.read_exact(&mut heard).await.unwrap();
        assert!(heard == bytes);
        assert!(pipes.counted().0 <= ROOM.count);
        writing.await.unwrap().unwrap();
        drop(client);
        joined.await.unwrap().unwrap();
    }
    all_given_back(&pipes).await;
}

#[tokio::test]
async fn bytes_stay_whole_whatever_the_sizes() {
    let mut random = rand::rng();
    for limits in [ROOM, NONE] {
        let pipes = Pipes::within(limits);
        let mut session = session(&pipes).await;
        let mut total = [0; 2];
        for turn in 0..60 {
            // As many small ones as large ones: below a page, around the buffer, many pipes full.
            let largest = [16, 5_000, 70_000, 3_000_000][random.random_range(0..4)];
            let mut bytes = vec![0; random.random_range(1..=largest)];
            random.fill(&mut bytes[..]);
            total[turn % 2] += bytes.len() as u64;
            match turn % 2 {
                0 => moved(&mut session.client, &mut session.daemon, &bytes).await,
                _ => moved(&mut session.daemon, &mut session.client, &bytes).await,
            }
        }
        drop((session.client, session.daemon));
        assert_eq!(session.joined.await.unwrap().unwrap(), total.into());
        assert_eq!(pipes.counted().1, 0);
    }
}

#[tokio::test]
async fn a_reader_that_goes_ends_its_direction_only() {
    let pipes = Pipes::within(ROOM);
    let Session {
        mut client,
        mut daemon,
        joined,
    } = session(&pipes).await;
    let bulk = tokio::spawn(async move {
        let bytes = pattern(64 << 20);
        let ended = daemon.write_all(&bytes).await;
        (ended, daemon)
    });
    let mut heard = vec![0; 4 << 20];
    client.read_exact(&mut heard).await.unwrap();
    drop(client);
    // What is in the pipe then has nowhere to go.
    let (ended, daemon) = timeout(Duration::from_secs(10), bulk)
        .await
        .unwrap()
        .unwrap();
    ended.unwrap_err();
    drop(daemon);
    // The client is reset, for it has left bytes unread: whichever direction sees it first.
    let _ = joined.await.unwrap();
    assert_eq!(pipes.counted().1, 0);
}

/// Runs a test of this file in a process of its own, as a user whose pipes are counted: one that has no others, if this
/// may choose.
fn run_as_anybody(test: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    // Where another user can reach it.
    let program = folder.path().join("tests");
    let own = std::env::current_exe().unwrap();
    fs::hard_link(&own, &program)
        .or_else(|_| fs::copy(&own, &program).map(drop))
        .unwrap();
    let mut command = Command::new("env");
    if !limits::is_counted() {
        let user = (2_000_000_000 + std::process::id()).to_string();
        command = Command::new("setpriv");
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
    }
    command.arg(program).args(["--ignored", "--exact"]);
    let output = command.arg(format!("proxy::splice::tests::{test}"));
    let output = output.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 passed"), "{said}{output:?}");
}

/// Lets bulk flow both ways.
async fn exchange(session: &mut Session) {
    let bytes = pattern(5_000_000);
    moved(&mut session.daemon, &mut session.client, &bytes).await;
    moved(&mut session.client, &mut session.daemon, &bytes).await;
}

#[test]
fn a_user_who_has_used_up_its_pipes_loses_nothing() {
    run_as_anybody("with_the_pipes_used_up");
}

#[tokio::test]
#[ignore = "takes all pipes of its user; run by the test above"]
async fn with_the_pipes_used_up() {
    assert!(limits::is_counted());
    let pipes = Pipes::new();
    let mut session = session(&pipes).await;
    let mut taken = Vec::new();
    while let Ok((reader, writer)) = pipe() {
        let size = fcntl_setpipe_size(&writer, 1 << 20).or_else(|_| fcntl_getpipe_size(&writer));
        let is_small = size.unwrap() < BUFFER;
        taken.push((reader, writer));
        if is_small {
            break;
        }
    }
    exchange(&mut session).await;
    assert_eq!(pipes.counted(), (0, 0));
}

#[test]
fn a_process_without_descriptors_loses_nothing() {
    run_as_anybody("with_the_descriptors_used_up");
}

#[tokio::test]
#[ignore = "leaves its process without descriptors; run by the test above"]
async fn with_the_descriptors_used_up() {
    let pipes = Pipes::within(ROOM);
    let mut session = session(&pipes).await;
    let before = getrlimit(Resource::Nofile);
    let current = Some(0);
    setrlimit(Resource::Nofile, Rlimit { current, ..before }).unwrap();
    assert!(pipe().is_err());
    exchange(&mut session).await;
    assert_eq!(pipes.counted(), (0, 0));
    setrlimit(Resource::Nofile, before).unwrap();
    // A refusal holds for a while; other pipes know nothing of it.
    let others = Pipes::within(ROOM);
    assert!(others.take().is_some());
    assert!(pipes.take().is_none());
}
