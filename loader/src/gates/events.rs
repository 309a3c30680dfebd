//! TCB. Gates for waiting: epoll, poll, counters and timers.

use super::{INT_MAX, Table, call, six, within};

pub(super) const TABLE: Table = &[
    ("epoll_create1", epoll_create1),
    ("epoll_ctl", epoll_ctl),
    ("epoll_wait", epoll_wait),
    ("eventfd", eventfd),
    ("poll", poll),
    ("timerfd_create", timerfd_create),
    ("timerfd_gettime", timerfd_gettime),
    ("timerfd_settime", timerfd_settime),
];

passed_on! {
    epoll_create1(flags) => SYS_epoll_create1, INT_MAX;
    epoll_ctl(epoll, op, fd, event) => SYS_epoll_ctl, 0;
    epoll_wait(epoll, events, n, timeout) => SYS_epoll_wait, n;
    eventfd(count, flags) => SYS_eventfd2, INT_MAX;
    poll(fds, n, timeout) => SYS_poll, n;
    timerfd_create(clock, flags) => SYS_timerfd_create, INT_MAX;
    timerfd_gettime(fd, now) => SYS_timerfd_gettime, 0;
    timerfd_settime(fd, flags, new, old) => SYS_timerfd_settime, 0;
}
