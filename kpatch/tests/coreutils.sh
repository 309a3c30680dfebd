# Run by Debian's bash and coreutils at CPL 3 and at CPL 0: the output must be the same.
# PATH has the programs; /tmp is writable.
set -u
d=/tmp/coreutils.$$
rm -rf "$d"
mkdir -p "$d/a/b"
seq 1 3000 | sort -rn | head -n 1000 | sha256sum
seq 1 500 >"$d/numbers"
cp "$d/numbers" "$d/copy"
mv "$d/copy" "$d/a/b/moved"
wc "$d/numbers" | tr -s ' ' | cut -d' ' -f2-4
sed -n '10,12p;$p' "$d/a/b/moved"
(cd "$d" && ls -R . | sort)
od -An -tx1 -N16 "$d/numbers"
dd if=/dev/zero bs=4k count=256 2>/dev/null | sha256sum
for i in 1 2 3 4 5; do
    factor $((i * 123456789 + 1))
done
paste -d, <(seq 1 5) <(seq 6 10) 2>/dev/null || echo "no process substitution"
declare -A colour=([sky]=blue [grass]=green)
for key in grass sky; do echo "$key ${colour[$key]}"; done
[[ "kernel mode" =~ ^k.*e$ ]] && echo "matches ${BASH_REMATCH[0]}"
trap 'echo "handler: USR1"' USR1
kill -USR1 $$
trap 'echo "handler: exit"' EXIT
printf '%s\n' {a,b}{1,2} | tac | nl
date -u -d @0 +%Y-%m-%d
expr 6 '*' 7
(exec cat "$d/missing") 2>/dev/null
echo "status $?"
sleep 0.2 &
wait $!
echo "waited $?"
fork() { if [ "$1" -gt 0 ]; then (fork $(($1 - 1))); else echo "deep"; fi; }
fork 20
rm -rf "$d"
