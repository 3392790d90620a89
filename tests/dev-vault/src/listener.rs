//! Listening on loopback and running one thread per connection, until dropped.
//!
//! It binds nothing but 127.0.0.1 and Unix sockets. A thread that panics is reported, never swallowed.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::lock;
use crate::stream::Socket;

/// The end of a server, which sleeping threads can wait for.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(crate) fn is_set(&self) -> bool {
        *lock(&self.stopped)
    }

    fn set(&self) {
        *lock(&self.stopped) = true;
        self.changed.notify_all();
    }

    /// Sleeps, unless the server ends. `true`: it has ended.
    pub(crate) fn sleep(&self, duration: Duration) -> bool {
        let deadline = Instant::now() + duration;
        let mut stopped = lock(&self.stopped);
        while !*stopped {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            stopped = self.changed.wait_timeout(stopped, left).unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        true
    }
}

/// What the accepting threads and the connections share.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    pub(crate) stop: Stop,
    sockets: Mutex<BTreeMap<usize, Vec<Socket>>>,
    workers: Mutex<Vec<JoinHandle<()>>>,
    panics: Mutex<Vec<String>>,
}

impl Pool {
    /// Ends a socket together with the server.
    pub(crate) fn watch(&self, connection: usize, socket: &Socket) -> io::Result<()> {
        let clone = socket.try_clone()?;
        if self.stop.is_set() {
            clone.shutdown();
        }
        lock(&self.sockets).entry(connection).or_default().push(clone);
        Ok(())
    }

    /// Lets go of a connection's sockets, so that closing them elsewhere really closes them.
    pub(crate) fn release(&self, connection: usize) {
        lock(&self.sockets).remove(&connection);
    }

    /// Runs a piece of work on its own thread.
    pub(crate) fn spawn(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) {
        let pool = Arc::clone(self);
        let worker = std::thread::spawn(move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
                lock(&pool.panics).push(message(panic.as_ref()));
            }
        });
        let mut workers = lock(&self.workers);
        workers.retain(|worker| !worker.is_finished());
        workers.push(worker);
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a thread panicked".to_owned())
}

/// Ends a connection's sockets even when its handler panics: a client must not wait for a dead thread.
struct Ending<'a> {
    pool: &'a Pool,
    connection: usize,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let sockets = lock(&self.pool.sockets).remove(&self.connection);
        sockets.iter().flatten().for_each(Socket::shutdown);
    }
}

/// A handler of accepted sockets; the number counts connections from 1.
type Accept = Arc<dyn Fn(Socket, usize) + Send + Sync>;

/// A listening server. Dropping it ends its threads.
pub(crate) struct Listener {
    pub(crate) pool: Arc<Pool>,
    pub(crate) address: SocketAddr,
    pub(crate) unix: Option<PathBuf>,
    acceptors: Vec<JoinHandle<()>>,
}

impl Listener {
    pub(crate) fn start(
        pool: Arc<Pool>,
        unix: Option<&Path>,
        handle: impl Fn(Socket, usize) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let handle: Accept = Arc::new(handle);
        let count = Arc::new(Mutex::new(0));
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = tcp.local_addr()?;
        let next = move || {
            let (stream, _) = tcp.accept()?;
            stream.set_nodelay(true)?;
            Ok(Socket::Tcp(stream))
        };
        let mut acceptors = vec![accept_loop(&pool, &handle, &count, next)];
        if let Some(path) = unix {
            let listener = UnixListener::bind(path)?;
            let next = move || Ok(Socket::Unix(listener.accept()?.0));
            acceptors.push(accept_loop(&pool, &handle, &count, next));
        }
        Ok(Self { pool, address, unix: unix.map(Path::to_owned), acceptors })
    }
}

fn accept_loop(
    pool: &Arc<Pool>,
    handle: &Accept,
    count: &Arc<Mutex<usize>>,
    next: impl Fn() -> io::Result<Socket> + Send + 'static,
) -> JoinHandle<()> {
    let (pool, handle, count) = (Arc::clone(pool), Arc::clone(handle), Arc::clone(count));
    std::thread::spawn(move || {
        while !pool.stop.is_set() {
            let Ok(socket) = next() else { continue };
            if pool.stop.is_set() {
                return;
            }
            let number = {
                let mut count = lock(&count);
                *count += 1;
                *count
            };
            let (pool_of_work, handle) = (Arc::clone(&pool), Arc::clone(&handle));
            pool.spawn(move || {
                // A socket that cannot be cloned is already broken; its handler will notice.
                let _ = pool_of_work.watch(number, &socket);
                let _end = Ending { pool: &pool_of_work, connection: number };
                handle(socket, number);
            });
        }
    })
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.pool.stop.set();
        // A connection wakes each acceptor, which then sees the end.
        let _ = TcpStream::connect(self.address);
        if let Some(path) = &self.unix {
            let _ = UnixStream::connect(path);
        }
        for acceptor in self.acceptors.drain(..) {
            let _ = acceptor.join();
        }
        lock(&self.pool.sockets).values().flatten().for_each(Socket::shutdown);
        let workers = std::mem::take(&mut *lock(&self.pool.workers));
        for worker in workers {
            let _ = worker.join();
        }
        if let Some(path) = &self.unix {
            let _ = std::fs::remove_file(path);
        }
        let panics = lock(&self.pool.panics);
        if !panics.is_empty() && !std::thread::panicking() {
            panic!("a thread of the double panicked: {}", panics.join("; "));
        }
    }
}
