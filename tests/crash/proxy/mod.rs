//! A proxy on the loopback between the program and a server, which breaks connections on demand.
//!
//! It never changes a byte. A fault is armed for a moment that is counted over all connections from
//! then on, and happens once.

mod connection;
mod protocol;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::job::PATIENCE;
use crate::place::{Kind, keyword, with};

/// When a fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The program has sent its nth commit from now; the server has not got it.
    Commit(u64),
    /// The server has answered the nth commit from now; the program has not heard of it.
    Committed(u64),
    /// So many bytes from now have gone to servers.
    Bytes(u64),
}

/// What happens then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Both sides lose the connection.
    Cut,
    /// The program loses it; the server does not, until [`Proxy::let_go`].
    CutProgram,
    /// Nothing goes on in this connection until [`Proxy::release`].
    Hold,
    /// Nothing goes on in any connection, and new ones get no answer.
    BlackHole,
    /// Both sides lose it, and the port is closed.
    Refuse,
}

/// What becomes of a message that was held up when the program had lost its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Late {
    /// It reaches the server after all; then the connection ends.
    Delivered,
    /// It is lost, and the connection ends.
    Lost,
}

/// What the proxy has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) connections: u64,
    pub(crate) commits: u64,
    pub(crate) bytes: u64,
    pub(crate) answers: u64,
    pub(crate) faults: u64,
}

struct State {
    counts: Counts,
    armed: Option<(Moment, Fault)>,
    is_black_hole: bool,
    listens: bool,
    /// How much later the first bytes of each answer come.
    delay: Duration,
    /// Raised by each release.
    releases: u64,
    late: Option<Late>,
    is_over: bool,
    /// Sockets of all connections, to be cut at once.
    sockets: Vec<TcpStream>,
    /// Ports that the server sees connections from.
    server_ports: Vec<u16>,
}

struct Shared {
    kind: Kind,
    server: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

/// A proxy; it ends when it is dropped.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    port: u16,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread of the proxy panics with it")
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

impl State {
    /// The fault that is due at a moment of this kind, which it is now one nearer to.
    fn take_due(&mut self, reached: impl Fn(Moment) -> Option<Option<Moment>>) -> Option<Fault> {
        let (moment, fault) = self.armed?;
        match reached(moment)? {
            Some(nearer) => {
                self.armed = Some((nearer, fault));
                None
            }
            None => {
                self.armed = None;
                self.counts.faults += 1;
                Some(fault)
            }
        }
    }
}

impl Proxy {
    /// A proxy before the server of a connection string.
    pub(crate) fn before(kind: Kind, text: &str) -> Self {
        let port = keyword(text, "Port").parse().expect("a port");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let own_port = listener.local_addr().expect("a bound socket").port();
        let shared = Arc::new(Shared {
            kind,
            server: (Ipv4Addr::LOCALHOST, port).into(),
            state: Mutex::new(State {
                counts: Counts::default(),
                armed: None,
                is_black_hole: false,
                listens: true,
                delay: Duration::ZERO,
                releases: 0,
                late: None,
                is_over: false,
                sockets: Vec::new(),
                server_ports: Vec::new(),
            }),
            changed: Condvar::new(),
        });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || accept(&of_thread, listener, own_port));
        Self { shared, port: own_port }
    }

    /// The connection string, led through the proxy.
    pub(crate) fn through(&self, text: &str) -> String {
        with(text, "Port", &self.port.to_string())
    }

    pub(crate) fn arm(&self, moment: Moment, fault: Fault) {
        self.shared.change(|state| state.armed = Some((moment, fault)));
    }

    pub(crate) fn delay_answers(&self, delay: Duration) {
        self.shared.change(|state| state.delay = delay);
    }

    /// What was held goes on.
    pub(crate) fn release(&self) {
        self.shared.change(|state| state.releases += 1);
    }

    /// Ends what [`Fault::CutProgram`] has kept.
    pub(crate) fn let_go(&self, late: Late) {
        self.shared.change(|state| state.late = Some(late));
    }

    /// No faults any more; connections that were black holes or held end.
    pub(crate) fn calm(&self) {
        self.shared.change(|state| {
            state.armed = None;
            state.is_black_hole = false;
            state.listens = true;
            state.delay = Duration::ZERO;
            state.late = Some(Late::Lost);
            for socket in state.sockets.drain(..) {
                connection::shut(&socket);
            }
            state.releases += 1;
        });
    }

    /// The port is closed.
    pub(crate) fn close(&self) {
        self.shared.change(|state| state.listens = false);
        // The thread that listens looks every 2 ms.
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
            assert!(began.elapsed() < PATIENCE, "the port stays open");
        }
    }

    /// The port is open again.
    pub(crate) fn listen(&self) {
        self.shared.change(|state| state.listens = true);
    }

    /// The ports at which the server sees its clients, those of connections that have ended too.
    pub(crate) fn server_ports(&self) -> Vec<u16> {
        self.shared.lock().server_ports.clone()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.shared.lock().counts
    }

    /// Waits until something is true of the counts.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, holds: impl Fn(Counts) -> bool) {
        let began = Instant::now();
        while !holds(self.counts()) {
            assert!(began.elapsed() < PATIENCE, "it does not come to {what}: {:?}", self.counts());
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.calm();
        self.shared.change(|state| state.is_over = true);
    }
}

/// Accepts connections while the port is open.
fn accept(shared: &Arc<Shared>, first: TcpListener, port: u16) {
    let mut listener = Some(first);
    loop {
        let (listens, is_over) = {
            let state = shared.lock();
            (state.listens, state.is_over)
        };
        if is_over {
            return;
        }
        match (&listener, listens) {
            (Some(_), false) => listener = None,
            (None, true) => listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok(),
            _ => {}
        }
        let accepted = listener.as_ref().and_then(|listener| {
            listener.set_nonblocking(true).ok()?;
            listener.accept().ok()
        });
        match accepted {
            Some((client, _)) => {
                client.set_nonblocking(false).expect("a socket can block");
                connection::serve(shared, client);
            }
            None => thread::sleep(Duration::from_millis(2)),
        }
    }
}
