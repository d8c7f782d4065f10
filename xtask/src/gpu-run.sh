#!/bin/sh
# Runs a pack of `cargo xtask gpu-pack` on a machine with an NVIDIA GPU: gpu-run.sh [RESULTS] [SECONDS] [memcheck]
# Writes RESULTS/results.tsv (test, outcome, seconds), RESULTS/speed.tsv (see device_speed.rs of kernels) and
# RESULTS/log.txt. Every test runs in a process of its own and the run goes on after failures; after SECONDS no further test
# starts. With `memcheck` the operations run a second time under NVIDIA's compute-sanitizer. Needs a driver, cuBLAS and
# NVRTC of CUDA 13.
here=$(cd "$(dirname "$0")" && pwd)
results=${1:-${OUT:-$here/results}}
budget=${2:-300}
memcheck=${3:-}
home=HOME_OF_THE_PACK
start=$(date +%s)
mkdir -p "$results" "$home/logs" || exit 1
results=$(cd "$results" && pwd)
# To the paths that dfdx has compiled in: there it looks for headers when it compiles kernels at run time.
tar -xzf "$here/pack.tar.gz" -C "$home" || exit 1
log=$results/log.txt
tsv=$results/results.tsv
: > "$log"
printf 'test\toutcome\tseconds\n' > "$tsv"

# The folder of a library: the caller's, one that the linker knows, a toolkit's, or what came with Python packages.
folder_of() {
    for folder in $(echo "${LD_LIBRARY_PATH:-}" | tr : ' '); do
        [ -e "$folder/$1" ] && echo "$folder" && return
    done
    found=$(ldconfig -p 2>/dev/null | sed -n "s|.*$1 .*=> ||p" | head -n 1)
    [ -n "$found" ] || found=$(ls -d /usr/local/cuda*/lib64/"$1" 2>/dev/null | head -n 1)
    [ -n "$found" ] || found=$(find / -path /proc -prune -o -name "$1" ! -path '*stubs*' -print 2>/dev/null | head -n 1)
    [ -n "$found" ] && dirname "$found"
}
for library in libcuda.so.1 libcublas.so.13 libnvrtc.so.13; do
    if folder=$(folder_of "$library"); then
        LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
    else
        printf 'library %s\tmissing\t0\n' "$library" >> "$tsv"
        echo "no $library on this machine" | tee -a "$log"
    fi
done
export LD_LIBRARY_PATH
{
    date -u
    nvidia-smi
    cat "$home/bin/commit"
    echo "LD_LIBRARY_PATH=$LD_LIBRARY_PATH"
    for program in kernels layers speed; do ldd "$home/bin/$program"; done
} >> "$log" 2>&1

cat > "$home/one.sh" <<'ONE'
# one.sh PROGRAM TEST: a row and a log of one test. The working directory is the root: no path may depend on it.
cd / || exit 1
name="${UNDER:+memcheck }$1 $2"
if [ $(($(date +%s) - start)) -ge "$budget" ]; then
    printf '%s\tnot run\t0\n' "$name" >> "$tsv"
    exit 0
fi
part=$home/logs/$(echo "$name" | tr ' :' '__').txt
before=$(date +%s%N)
timeout 120 ${UNDER:-} "$home/bin/$1" --exact "$2" --nocapture --test-threads=1 > "$part.all" 2>&1
case $? in
    0) outcome=ok ;;
    124) outcome='timed out' ;;
    *) outcome=FAILED ;;
esac
seconds=$(awk "BEGIN { printf \"%.2f\", ($(date +%s%N) - $before) / 1e9 }")
printf '%s\t%s\t%s\n' "$name" "$outcome" "$seconds" >> "$tsv"
{ echo "== $name: $outcome in $seconds s"; grep -av '^note: run with' "$part.all" | tail -c 60000; } >> "$part"
rm -f "$part.all"
[ "$outcome" = ok ]
ONE
export start budget home tsv
rm -f "$home"/logs/*

list() { "$home/bin/$1" --list --format terse 2>>"$log" | sed -n 's/: test$//p' | grep -E "$2" | sed "s/^/$1 /"; }
one() { sh "$home/one.sh" "$1" "$2"; }
rows() { while read -r program test; do one "$program" "$test"; done; }

# A driver that refuses to allocate 0 bytes stops dfdx at the first line; with this library it allocates 1.
one kernels tests::cuda::device::a_device_gives_back_what_it_was_given || {
    export LD_PRELOAD=$home/bin/libone_byte.so
    echo "again with LD_PRELOAD=$LD_PRELOAD" >> "$log"
    one kernels tests::cuda::device::a_device_gives_back_what_it_was_given || unset LD_PRELOAD
}
list kernels '^(tests::cuda::(device|errors|update)|cuda::)' | grep -v a_device_gives_back | rows
# On several cores at once: most of the time goes to the CPU's side of each comparison.
{ list kernels '^tests::cuda::families'; list layers .; } | xargs -P 4 -L 1 sh "$home/one.sh"
list kernels '^tests::cuda::memory' | rows # counts all that is in use on the device: alone
speed() {
    before=$(date +%s%N)
    timeout 90 "$@" >> "$results/speed.tsv" 2>> "$log" && outcome=ok || outcome=FAILED
    seconds=$(awk "BEGIN { printf \"%.2f\", ($(date +%s%N) - $before) / 1e9 }")
    printf 'speed %s\t%s\t%s\n' "$1" "$outcome" "$seconds" >> "$tsv"
}
: > "$results/speed.tsv"
( cd / && speed "$home/bin/speed" )
if python3 -c 'import torch; assert torch.cuda.is_available()' 2>> "$log"; then
    ( unset LD_LIBRARY_PATH && speed python3 "$home/bin/speed.py" ) # PyTorch finds libraries of its own
fi
if [ "$memcheck" = memcheck ]; then
    sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2>/dev/null | head -n 1)
    if [ -n "$sanitizer" ]; then
        export UNDER="$sanitizer --error-exitcode 9"
        list kernels '^(tests::cuda::(families|update)|cuda::launch::)' | xargs -P 4 -L 1 sh "$home/one.sh"
    else
        printf 'compute-sanitizer\tmissing\t0\n' >> "$tsv"
    fi
fi
cat "$home"/logs/*.txt >> "$log"
cat "$tsv" "$results/speed.tsv"
! grep -qE '	(FAILED|timed out|missing|not run)	' "$tsv"
