//! One connection through the proxy: a thread for each direction.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::protocol::Protocol;
use super::{Fault, Late, Moment, Shared};

/// Ends both directions of a socket; the other side may have done so.
pub(super) fn shut(socket: &TcpStream) {
    let _ = socket.shutdown(Shutdown::Both);
}

/// What the two threads of a connection know together.
struct Connection {
    shared: Arc<Shared>,
    client: TcpStream,
    server: TcpStream,
    /// The server has a commit that it has not answered.
    is_committing: AtomicBool,
    /// The server has something that it has not answered.
    was_asked: AtomicBool,
    /// The program has lost this connection, and the server is not to hear of it.
    is_kept: AtomicBool,
}

/// What a thread does next.
enum Next {
    GoOn,
    End,
}

pub(super) fn serve(shared: &Arc<Shared>, client: TcpStream) {
    {
        let mut state = shared.lock();
        state.counts.connections += 1;
        state.sockets.extend(client.try_clone());
        if state.is_black_hole {
            // Its sockets stay open, and nobody answers.
            return;
        }
    }
    let Ok(server) = TcpStream::connect(shared.server) else {
        return shut(&client);
    };
    for socket in [&client, &server] {
        socket.set_nodelay(true).expect("a socket takes its options");
    }
    {
        let mut state = shared.lock();
        state.sockets.extend(server.try_clone());
        state.server_ports.extend(server.local_addr().map(|address| address.port()));
    }
    let connection = Arc::new(Connection {
        shared: Arc::clone(shared),
        client,
        server,
        is_committing: AtomicBool::new(false),
        was_asked: AtomicBool::new(false),
        is_kept: AtomicBool::new(false),
    });
    let down = Arc::clone(&connection);
    thread::spawn(move || down.answers());
    thread::spawn(move || connection.requests());
}

impl Connection {
    /// From the program to the server, one message after the other.
    fn requests(&self) {
        let mut protocol = Protocol::of(self.shared.kind);
        let mut waiting = Vec::new();
        let mut piece = vec![0; 1 << 16];
        loop {
            while let Some((length, is_commit)) = protocol.message(&waiting) {
                let message: Vec<u8> = waiting.drain(..length).collect();
                if let Next::End = self.pass_on(&message, is_commit) {
                    return;
                }
            }
            match (&self.client).read(&mut piece) {
                Ok(read) if read > 0 => waiting.extend_from_slice(&piece[..read]),
                _ => break,
            }
        }
        if !self.is_kept.load(Ordering::Acquire) {
            shut(&self.server);
        }
    }

    fn pass_on(&self, message: &[u8], is_commit: bool) -> Next {
        let bytes = message.len() as u64;
        let due = {
            let mut state = self.shared.lock();
            state.counts.bytes += bytes;
            state.counts.commits += u64::from(is_commit);
            state.take_due(|moment| match moment {
                Moment::Commit(1) if is_commit => Some(None),
                Moment::Commit(n) if is_commit => Some(Some(Moment::Commit(n - 1))),
                Moment::Bytes(left) if left <= bytes => Some(None),
                Moment::Bytes(left) => Some(Some(Moment::Bytes(left - bytes))),
                _ => None,
            })
        };
        if let Some(fault) = due
            && let Next::End = self.happen(fault, Some(message))
        {
            return Next::End;
        }
        if self.waits_in_black_hole() {
            return Next::End;
        }
        self.is_committing.store(is_commit, Ordering::Release);
        self.was_asked.store(true, Ordering::Release);
        match (&self.server).write_all(message) {
            Ok(()) => Next::GoOn,
            Err(_) => Next::End,
        }
    }

    /// From the server to the program.
    fn answers(&self) {
        let mut piece = vec![0; 1 << 16];
        loop {
            let read = match (&self.server).read(&mut piece) {
                Ok(read) if read > 0 => read,
                _ => break,
            };
            if self.was_asked.swap(false, Ordering::AcqRel) {
                let delay = {
                    let mut state = self.shared.lock();
                    state.counts.answers += 1;
                    state.delay
                };
                thread::sleep(delay);
            }
            if self.is_committing.swap(false, Ordering::AcqRel) {
                let due = self.shared.lock().take_due(|moment| match moment {
                    Moment::Committed(1) => Some(None),
                    Moment::Committed(n) => Some(Some(Moment::Committed(n - 1))),
                    _ => None,
                });
                if let Some(fault) = due
                    && let Next::End = self.happen(fault, None)
                {
                    return;
                }
            }
            if self.waits_in_black_hole() || (&self.client).write_all(&piece[..read]).is_err() {
                break;
            }
        }
        shut(&self.client);
    }

    /// A fault of this connection. `message` has not reached the server.
    fn happen(&self, fault: Fault, message: Option<&[u8]>) -> Next {
        match fault {
            Fault::Cut => self.cut(),
            Fault::Refuse => {
                self.shared.change(|state| state.listens = false);
                self.cut()
            }
            Fault::CutProgram => self.keep_server(message),
            Fault::Hold => {
                let mut state = self.shared.lock();
                let before = state.releases;
                while state.releases == before {
                    state = self.shared.changed.wait(state).expect("nobody panics with it");
                }
                Next::GoOn
            }
            Fault::BlackHole => {
                self.shared.change(|state| state.is_black_hole = true);
                Next::GoOn
            }
        }
    }

    fn cut(&self) -> Next {
        shut(&self.server);
        shut(&self.client);
        Next::End
    }

    /// The program's side ends; the server's stays as it is until it is let go.
    fn keep_server(&self, message: Option<&[u8]>) -> Next {
        self.is_kept.store(true, Ordering::Release);
        shut(&self.client);
        let mut state = self.shared.lock();
        let late = loop {
            match state.late.take() {
                Some(late) => break late,
                None => state = self.shared.changed.wait(state).expect("nobody panics with it"),
            }
        };
        drop(state);
        if let (Late::Delivered, Some(message)) = (late, message) {
            self.is_committing.store(false, Ordering::Release);
            // Its answer goes nowhere.
            let _ = (&self.server).write_all(message);
            let _ = self.server.shutdown(Shutdown::Write);
        } else {
            shut(&self.server);
        }
        Next::End
    }

    /// Waits while nothing goes on; whether the connection ended meanwhile.
    fn waits_in_black_hole(&self) -> bool {
        let mut state = self.shared.lock();
        let is_silent = state.is_black_hole;
        while state.is_black_hole {
            state = self.shared.changed.wait(state).expect("nobody panics with it");
        }
        is_silent
    }
}
