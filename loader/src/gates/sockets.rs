//! TCB. Gates for sockets.

use super::{INT_MAX, Table, call, refuse, six, within};
use core::ptr;
use libc::{c_int, socklen_t};

pub(super) const TABLE: Table = &[
    ("accept", accept),
    ("bind", bind),
    ("connect", connect),
    ("getpeername", getpeername),
    ("getsockname", getsockname),
    ("getsockopt", getsockopt),
    ("listen", listen),
    ("recv", recv),
    ("recvfrom", recvfrom),
    ("send", send),
    ("sendto", sendto),
    ("setsockopt", setsockopt),
    ("shutdown", shutdown),
    ("socket", socket),
    ("socketpair", socketpair),
];

/// What may be set and read: level, name, size of the value. None holds an address, none keeps
/// one.
const OPTIONS: &[(c_int, c_int, usize)] = &[
    (libc::SOL_SOCKET, libc::SO_REUSEADDR, 4),
    (libc::SOL_SOCKET, libc::SO_TYPE, 4),
    (libc::SOL_SOCKET, libc::SO_ERROR, 4),
    (libc::SOL_SOCKET, libc::SO_BROADCAST, 4),
    (libc::SOL_SOCKET, libc::SO_SNDBUF, 4),
    (libc::SOL_SOCKET, libc::SO_RCVBUF, 4),
    (libc::SOL_SOCKET, libc::SO_KEEPALIVE, 4),
    (libc::SOL_SOCKET, libc::SO_LINGER, 8),
    (libc::SOL_SOCKET, libc::SO_REUSEPORT, 4),
    (libc::SOL_SOCKET, libc::SO_RCVTIMEO, 16),
    (libc::SOL_SOCKET, libc::SO_SNDTIMEO, 16),
    (libc::IPPROTO_TCP, libc::TCP_NODELAY, 4),
    (libc::IPPROTO_TCP, libc::TCP_CORK, 4),
    (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, 4),
    (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, 4),
    (libc::IPPROTO_TCP, libc::TCP_KEEPCNT, 4),
    (libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, 4),
    (libc::IPPROTO_TCP, libc::TCP_QUICKACK, 4),
    (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, 4),
    (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 4),
];

/// Flags of `send` and `sendto`. MSG_ZEROCOPY would let the kernel read after the return.
const SEND: c_int = libc::MSG_OOB | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL | libc::MSG_MORE;
/// Flags of `recv` and `recvfrom`. MSG_TRUNC would make the result larger than the buffer.
const RECEIVE: c_int = libc::MSG_OOB | libc::MSG_PEEK | libc::MSG_DONTWAIT | libc::MSG_WAITALL;

passed_on! {
    bind(fd, address, n) => SYS_bind, 0;
    connect(fd, address, n) => SYS_connect, 0;
    listen(fd, backlog) => SYS_listen, 0;
    shutdown(fd, how) => SYS_shutdown, 0;
}

/// Are these only flags of the list?
fn only(flags: u64, known: c_int) -> bool {
    flags & !(known as u64) == 0
}

/// Sockets whose calls take no addresses but those of the signatures; the error of others.
fn family(domain: u64, kind: u64, protocol: u64) -> Option<i64> {
    let among = |value: u64, known: &[c_int]| known.iter().any(|k| *k as u64 == value);
    let kind = kind & !((libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) as u64);
    if !among(domain, &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6]) {
        return Some(refuse(libc::EAFNOSUPPORT));
    }
    let kinds = [libc::SOCK_STREAM, libc::SOCK_DGRAM];
    // SOCK_SEQPACKET of the other families is SCTP.
    let packets = kind == libc::SOCK_SEQPACKET as u64 && domain == libc::AF_UNIX as u64;
    let known = (among(kind, &kinds) || packets)
        && among(protocol, &[0, libc::IPPROTO_TCP, libc::IPPROTO_UDP]);
    (!known).then_some(refuse(libc::EPROTONOSUPPORT))
}

/// Is this a socket of the kind that [`socket`] makes?
pub(super) fn makes(fd: c_int) -> bool {
    let asked = [libc::SO_DOMAIN, libc::SO_TYPE, libc::SO_PROTOCOL].map(|name| {
        let mut value = 0_u32;
        let at = (&raw mut value).expose_provenance() as u64;
        let level = libc::SOL_SOCKET as u64;
        let mut length = size_of_val(&value) as socklen_t;
        let length = (&raw mut length).expose_provenance() as u64;
        // SAFETY: the value and its length are ours, and live until after the call.
        let done =
            unsafe { call(libc::SYS_getsockopt, six([fd as u64, level, name as u64, at, length])) };
        // SAFETY: as above; the kernel has changed it behind the compiler's back.
        (done == 0).then_some(u64::from(unsafe { (&raw const value).read_volatile() }))
    });
    match asked {
        [Some(domain), Some(kind), Some(protocol)] => family(domain, kind, protocol).is_none(),
        _ => false,
    }
}

extern "C" fn socket(domain: u64, kind: u64, protocol: u64, _: u64, _: u64, _: u64) -> i64 {
    if let Some(error) = family(domain, kind, protocol) {
        return error;
    }
    // SAFETY: no memory.
    within(unsafe { call(libc::SYS_socket, six([domain, kind, protocol])) }, INT_MAX)
}

extern "C" fn socketpair(domain: u64, kind: u64, proto: u64, ends: u64, _: u64, _: u64) -> i64 {
    if let Some(error) = family(domain, kind, proto) {
        return error;
    }
    // SAFETY: `&rw fd_pair`: two integers of four bytes.
    within(unsafe { call(libc::SYS_socketpair, six([domain, kind, proto, ends])) }, 0)
}

extern "C" fn accept(fd: u64, flags: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    // SAFETY: the address of the peer is not asked for.
    within(unsafe { call(libc::SYS_accept4, six([fd, 0, 0, flags])) }, INT_MAX)
}

extern "C" fn send(fd: u64, buffer: u64, n: u64, flags: u64, _: u64, _: u64) -> i64 {
    sendto(fd, buffer, n, flags, 0, 0)
}

extern "C" fn sendto(fd: u64, buffer: u64, n: u64, flags: u64, to: u64, m: u64) -> i64 {
    if !only(flags, SEND) {
        return refuse(libc::EINVAL);
    }
    // SAFETY: `&bytes[n]` and `&bytes[m]` may be read; without an address m is 0.
    within(unsafe { call(libc::SYS_sendto, [fd, buffer, n, flags, to, m]) }, n)
}

extern "C" fn recv(fd: u64, buffer: u64, n: u64, flags: u64, _: u64, _: u64) -> i64 {
    if !only(flags, RECEIVE) {
        return refuse(libc::EINVAL);
    }
    // SAFETY: `&rw bytes[n]` may be filled; the address of the sender is not asked for.
    within(unsafe { call(libc::SYS_recvfrom, six([fd, buffer, n, flags])) }, n)
}

extern "C" fn recvfrom(fd: u64, buffer: u64, n: u64, flags: u64, from: u64, m: u64) -> i64 {
    if !only(flags, RECEIVE) {
        return refuse(libc::EINVAL);
    }
    let sender = ptr::with_exposed_provenance_mut::<u8>(from as usize);
    // SAFETY: `&rw bytes[m]`.
    unsafe { sender.write_bytes(0, m as usize) };
    let mut length = m as socklen_t;
    let at = (&raw mut length).expose_provenance() as u64;
    // SAFETY: `&rw bytes[n]` and `&rw bytes[m]` may be filled; the length is ours.
    within(unsafe { call(libc::SYS_recvfrom, [fd, buffer, n, flags, from, at]) }, n)
}

/// Is this an option of the list, and its value of this size?
fn option(level: u64, name: u64, n: u64) -> bool {
    let same = |(l, o, size): &(c_int, c_int, usize)| {
        *l as u64 == level && *o as u64 == name && *size as u64 == n
    };
    OPTIONS.iter().any(same)
}

extern "C" fn setsockopt(fd: u64, level: u64, name: u64, value: u64, n: u64, _: u64) -> i64 {
    if !option(level, name, n) {
        return refuse(libc::ENOPROTOOPT);
    }
    // SAFETY: `&bytes[n]`: may be read.
    within(unsafe { call(libc::SYS_setsockopt, six([fd, level, name, value, n])) }, 0)
}

extern "C" fn getsockopt(fd: u64, level: u64, name: u64, value: u64, n: u64, _: u64) -> i64 {
    if !option(level, name, n) {
        return refuse(libc::ENOPROTOOPT);
    }
    let call_it = |at| {
        // SAFETY: `&rw bytes[n]` may be filled; the length is that of `measured`.
        within(unsafe { call(libc::SYS_getsockopt, six([fd, level, name, value, at])) }, 0)
    };
    measured(n, call_it)
}

extern "C" fn getsockname(fd: u64, address: u64, n: u64, _: u64, _: u64, _: u64) -> i64 {
    measured(n, |at| {
        // SAFETY: `&rw bytes[n]` may be filled; the length is that of `measured`.
        within(unsafe { call(libc::SYS_getsockname, six([fd, address, at])) }, 0)
    })
}

extern "C" fn getpeername(fd: u64, address: u64, n: u64, _: u64, _: u64, _: u64) -> i64 {
    measured(n, |at| {
        // SAFETY: `&rw bytes[n]` may be filled; the length is that of `measured`.
        within(unsafe { call(libc::SYS_getpeername, six([fd, address, at])) }, 0)
    })
}

/// A call that reads the size of a buffer from where it is told, and leaves there how long the
/// value is: the error, or how much of the value is in the buffer.
fn measured(size: u64, call: impl FnOnce(u64) -> i64) -> i64 {
    let mut length = size as socklen_t;
    let result = call((&raw mut length).expose_provenance() as u64);
    // The kernel has changed it behind the compiler's back.
    // SAFETY: `length` is ours and initialised.
    let length = unsafe { (&raw const length).read_volatile() };
    if result < 0 { result } else { i64::from(length).min(size.cast_signed()) }
}
