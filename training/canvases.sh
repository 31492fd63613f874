#!/usr/bin/env bash
# canvases.sh FACES CANVASES YUNET EXCLUDE: cut the canvases of all sets of the recipe, two at a time.
# FACES holds a folder per set (of Caltech's, only the whole photos, not its folders train and test); EXCLUDE holds lists of files not to learn from, SET.txt.
set -euo pipefail
faces=$1 canvases=$2 yunet=$3 exclude=$4 here=$(cd "$(dirname "$0")" && pwd)
export OMP_NUM_THREADS=1 OPENCV_FOR_THREADS_NUM=1

cut() { # SET [OPTION]
    local options=("${@:2}")
    [ ! -f "$exclude/$1.txt" ] || options+=(--exclude "$exclude/$1.txt")
    python "$here/cut_canvases.py" "$faces/$1" "$canvases" "$1" --yunet "$yunet" "${options[@]}"
}

(cut celeba_test; cut pins; cut celeba_small; cut uk_mps; cut genki) &
cut utkface; cut celeba_wild; cut mask12k; cut mask4k; cut maskon --all; cut caltech --all
wait $!
