# SPDX-License-Identifier: GPL-2.0
# The servers at CPL 0, and all clients that try them in user mode.
ip link set lo up
dmesg > /tmp/before
xtask vm-clients > /tmp/out 2> /tmp/err
status=$?
grep '^test' /tmp/out
[ $status = 0 ] || cat /tmp/err
ok=$(grep -c '^test servers: .* ok$' /tmp/out)
bad=$((2 - ok))

# Nobody has died at CPL 3 instead: both were admitted each time that they were started.
admitted=$(sed -n 's/^admitted: //p' /proc/kml)
[ "$admitted" = 5 ] && r=ok || r="FAILED: $admitted"
echo "test servers: five of them were judged and admitted ... $r"
[ "$r" = ok ] && ok=$((ok + 1)) || bad=$((bad + 1))

/trusted/hello > /tmp/hello || echo "no hello" > /tmp/before
dmesg > /tmp/after
cmp /tmp/before /tmp/after || { tail -3 /tmp/after; false; } && r=ok || r=FAILED
echo "test servers: the kernel lives and is silent ... $r"
[ $r = ok ] && ok=$((ok + 1)) || bad=$((bad + 1))

[ $bad = 0 ] && r=ok || r=FAILED
echo "test result: $r. $ok passed, $bad failed"
