# SPDX-License-Identifier: GPL-2.0
# kml.allow is a second policy beside the judge, and both must say yes.  In the list
# are hello, which is good, and refused2, which is not.
ok=0; bad=0
# a NAME STATUS PROGRAM WORDS-OF-THE-LOG
a() {
    dmesg > /tmp/before
    "$3" > /tmp/out 2>&1; status=$?
    dmesg | tail -n +$(($(wc -l < /tmp/before) + 1)) > /tmp/new
    said=$(sed 's/^\[[^]]*\] //' /tmp/new)
    case "$status $said" in
    "$2 $4"*) ok=$((ok + 1)); echo "test kml.allow: $1 ... ok" ;;
    *) bad=$((bad + 1)); echo "test kml.allow: $1 ... FAILED: status $status, $said" ;;
    esac
}
a "listed and good runs" 0 /trusted/hello ""
[ -s /tmp/new ] && { bad=$((bad + 1)); echo "test kml.allow: silent ... FAILED"; cat /tmp/new; }
a "listed and bad is refused by the judge" 126 /trusted/refused2 \
    "kml: /trusted/refused2: refused: $(cat /cases/refused2)"
a "unlisted and good is refused" 126 /trusted/wc \
    "kml: /trusted/wc: refused: its digest is not in kml.allow"
a "unlisted and bad is refused" 126 /trusted/refused3 \
    "kml: /trusted/refused3: refused: its digest is not in kml.allow"
cp /trusted/hello /trusted/copy
a "what counts are bytes, not names" 0 /trusted/copy ""
printf x >> /trusted/copy
a "a byte more is another file" 126 /trusted/copy \
    "kml: /trusted/copy: refused: its digest is not in kml.allow"
# The list of the command line is not for others to change.
(echo > /sys/module/kml/parameters/allow) 2> /dev/null
a "the list stays as it is" 126 /trusted/wc \
    "kml: /trusted/wc: refused: its digest is not in kml.allow"
[ $bad = 0 ] && r=ok || r=FAILED
echo "test result: $r. $ok passed, $bad failed"
