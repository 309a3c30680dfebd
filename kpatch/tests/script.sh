# Run by a shell at CPL 3 and by its copy at CPL 0: the output must be the same.
i=0
while [ $i -lt 40 ]; do
    i=$((i + 1))
    x=$(echo $i | busybox cat | busybox sed 's/$/!/')
done
echo "last $x"
busybox seq 1 2000 | busybox sort -rn | busybox md5sum
f() { [ "$1" -le 1 ] && echo 1 || echo $(( $(f $(($1 - 1))) + $1 )); }
f 12
busybox dd if=/dev/zero bs=64k count=64 2>/dev/null | busybox sha256sum
(exit 7); echo "status $?"
busybox sleep 0.1 & wait; echo waited
busybox kill -l 11
for w in c a b; do echo $w; done | busybox sort | busybox tr '\n' ' '
busybox sh -c 'kill -SEGV $$'; echo "killed $?"
