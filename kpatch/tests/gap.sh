# SPDX-License-Identifier: GPL-2.0
# The gap below stacks is smaller than what gates write there.
dmesg | grep -qF "kml: no programs at CPL 0: the gap below stacks is too small"; said=$?
/trusted/hello > /tmp/out 2>&1; status=$?
dmesg | grep -qF "kml: /trusted/hello: refused: the gap below stacks is too small"; refused=$?
if [ "$said $status $refused" = "0 126 0" ]; then
    echo "test gap: no program at CPL 0 ... ok"
    echo "test result: ok. 1 passed, 0 failed"
else
    echo "test gap: no program at CPL 0 ... FAILED: $said $status $refused"
    echo "test result: FAILED. 0 passed, 1 failed"
fi
