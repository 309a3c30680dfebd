# SPDX-License-Identifier: GPL-2.0
# Which files a judged program opens for writing.  Arguments: file systems that this
# kernel has to have, and `loop`.
ok=0; bad=0
verdict() {
    if [ "$1" = 0 ]; then ok=$((ok + 1)); echo "test writes: $2 ... ok"
    else bad=$((bad + 1)); echo "test writes: $2 ... FAILED: $3"; fi
}
# w STATUS FILE: 0 it opens, 13 EACCES, 21 EISDIR.  The shell can write it itself.
w() {
    if [ "$1" = 13 ] && ! (: >> "$2") 2> /dev/null; then
        verdict 1 "$2" "the shell cannot write it, so this says nothing"; return
    fi
    /trusted/writes "$2" > /tmp/said 2>&1; status=$?
    [ $status = $1 ]; verdict $? "$2: $1" "status $status"
}
mkdir -p /tmp/here /tmp/there
for file in /file /tmp/file /dev/file; do : > $file; w 0 $file; done
for name in null zero full random urandom console ttyS0; do w 0 /dev/$name; done
w 21 /tmp/here
mkfifo /tmp/fifo; exec 8<> /tmp/fifo; w 0 /tmp/fifo; exec 8>&-
mount --bind /proc/sys/kernel /tmp/here; w 13 /tmp/here/hostname; umount /tmp/here
ln -s /proc/sys/kernel/hostname /tmp/link; w 13 /tmp/link
w 13 /proc/self/oom_score_adj
w 13 /sys/module/kml/parameters/who
w 13 /dev/kmsg

for kind in "$@"; do
    [ $kind = loop ] || mount -t $kind none /tmp/there || { verdict 1 $kind "no such file system"; continue; }
    case $kind in
    cgroup2) w 13 /tmp/there/cgroup.procs ;;
    debugfs) w 13 /tmp/there/clear_warn_once ;;
    tracefs) w 13 /tmp/there/trace_marker ;;
    binfmt_misc) w 13 /tmp/there/register ;;
    configfs) mkdir /tmp/there/nullb/x; w 13 /tmp/there/nullb/x/size; rmdir /tmp/there/nullb/x ;;
    hugetlbfs) : > /tmp/there/file; w 13 /tmp/there/file ;;
    mqueue) : > /tmp/there/queue; w 13 /tmp/there/queue ;;
    loop)
        head -c 100000 /dev/zero > /tmp/disk; w 0 /tmp/disk
        losetup /dev/loop0 /tmp/disk; w 13 /tmp/disk; w 13 /dev/loop0
        losetup -d /dev/loop0; sleep 1; w 0 /tmp/disk ;;
    esac
    [ $kind = loop ] || umount /tmp/there
done
dmesg | grep -E "WARNING|BUG|Oops"; [ $? != 0 ]; verdict $? "no complaint in the log"
[ $bad = 0 ] && result=ok || result=FAILED
echo "test result: $result. $ok passed, $bad failed"
