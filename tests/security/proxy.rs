//! Somebody between the program and a server who says that the server knows no TLS.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::{Kind, Server};

/// `CLIENT_SSL` in the second byte of the capabilities of MariaDB's greeting.
const CAPABLE_OF_SSL: u8 = 0x08;

/// What PostgreSQL's client asks for encryption with: a length and a code.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Listens on a port of its own and passes everything on, but for the word about TLS.
pub(crate) struct StrippingProxy {
    pub(crate) port: u16,
    /// Everything that clients sent in clear text.
    heard: Arc<Mutex<Vec<u8>>>,
}

impl StrippingProxy {
    pub(crate) fn start(server: &Server) -> Self {
        let part = |name: &str| {
            let pairs = server.text.split(';').filter_map(|part| part.split_once('='));
            pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).next().unwrap()
        };
        let to = format!("{}:{}", part("Server"), part("Port"));
        let kind = server.kind;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&heard);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, heard) = (client.unwrap(), Arc::clone(&shared));
                let server = TcpStream::connect(&to).unwrap();
                // A side that hangs up ends its connection, not the test.
                thread::spawn(move || serve(kind, client, server, &heard));
            }
        });
        Self { port, heard }
    }

    /// Whether clients have sent these bytes.
    pub(crate) fn heard(&self, bytes: &[u8]) -> bool {
        self.heard.lock().unwrap().windows(bytes.len()).any(|window| window == bytes)
    }
}

fn serve(
    kind: Kind,
    mut client: TcpStream,
    mut server: TcpStream,
    heard: &Arc<Mutex<Vec<u8>>>,
) -> std::io::Result<()> {
    match kind {
        Kind::Postgresql => {
            let mut first = [0; 8];
            client.read_exact(&mut first)?;
            if first == SSL_REQUEST {
                client.write_all(b"N")?;
            } else {
                server.write_all(&first)?;
            }
        }
        Kind::Mariadb => {
            let mut head = [0; 4];
            server.read_exact(&mut head)?;
            let length = usize::from(head[0]) | usize::from(head[1]) << 8;
            let mut greeting = vec![0; length];
            server.read_exact(&mut greeting)?;
            let version_end = greeting.iter().position(|&byte| byte == 0).unwrap();
            // Thread id, half of the scramble, a filler.
            let capabilities = version_end + 1 + 4 + 8 + 1;
            assert!(greeting[capabilities + 1] & CAPABLE_OF_SSL != 0, "the server knows TLS");
            greeting[capabilities + 1] &= !CAPABLE_OF_SSL;
            client.write_all(&head)?;
            client.write_all(&greeting)?;
        }
    }
    let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
    let answers = thread::spawn(move || {
        let _ = std::io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let mut buffer = [0; 4096];
    loop {
        match client.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => {
                heard.lock().unwrap().extend_from_slice(&buffer[..count]);
                server.write_all(&buffer[..count])?;
            }
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = answers.join();
    Ok(())
}
