# In a kernel that tracks indirect branches and was asked for unverified mode: it
# says no, and what is judged runs all the same.
cd /tmp
bad=0
verdict() {
    [ "$1" = 0 ] && echo "test branch tracking: $2 ... ok" || { echo "test branch tracking: $2 ... FAILED"; bad=$((bad + 1)); }
}
grep -q "no unverified programs: the kernel tracks indirect branches" /tmp/boot
verdict $? "the log says that there is no unverified mode"
cp /bin/busybox /trusted/busybox
/trusted/busybox true 2> /dev/null
[ $? = 126 ]
verdict $? "an unverified program is refused"
/trusted/hello > /dev/null
verdict $? "a judged program runs"
[ $bad = 0 ] && echo "test result: ok. 3 passed, 0 failed" || echo "test result: FAILED. $((3 - bad)) passed, $bad failed"
