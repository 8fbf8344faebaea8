#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# lint.sh: what can be said about the sources without running them. See usage below.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C

usage()
{
    cat <<'END'
usage: ./dev lint [--build FOLDER] [--fix]

Checks licence lines, formatting (clang-format 14), shell scripts (shellcheck), C (cppcheck), words and
paths that do not belong into the sources, bare "! command" in tests, and that each library exports exactly
what the headers declare (where FOLDER, build/plain by default, holds a build). What is not installed is
named and left out. --fix formats the C sources in place.
END
}

build=build/plain fix=
while [ "$#" -gt 0 ]; do
    case $1 in
        --build) build=${2:?"--build wants a folder"} && shift ;;
        --fix) fix=1 ;;
        --help | -h) usage && exit 0 ;;
        *)
            echo "lint.sh: no such option: $1" >&2
            exit 2
            ;;
    esac
    shift
done

problems=0
# problem WHAT: reads the places from standard input; any line is a problem. (Fed by "< <(...)": at the end
# of a pipe it would count in a subshell.)
problem()
{
    local places
    places=$(cat)
    [ -n "$places" ] || return 0
    problems=$((problems + 1))
    printf 'lint: %s:\n' "$1"
    printf '    %s\n' "${places//$'\n'/$'\n'    }"
}

files()
{
    if git rev-parse --git-dir >/dev/null 2>&1; then
        git ls-files -- "$@"
    else
        find . \( -path ./build -o -path ./autom4te.cache -o -path ./build-aux \) -prune -o -type f -print |
            sed 's#^\./##' | while read -r file; do
            for pattern in "$@"; do
                # shellcheck disable=SC2254 # a pattern
                case $file in $pattern) echo "$file" ;; esac
            done
        done
    fi | sort -u | while read -r file; do
        [ ! -f "$file" ] || echo "$file"
    done
}

mapfile -t c_files < <(files '*.c' '*.h')
mapfile -t shell_files < <({
    files '*.sh' '.ci/*'
    echo dev
} | sort -u)
mapfile -t text_files < <(files '*.c' '*.h' '*.sh' '*.py' '*.js' '*.am' '*.ac' '*.md' '*.txt' '*.[1-8]' '*.in' dev '.ci/*')

mapfile -t other_files < <(files '*.py' '*.js' '*.go' '*.am' '*.ac')
mapfile -t test_scripts < <(files 'tests/*.sh')
mapfile -t product_files < <(files 'lib/*.c' 'p11/*.c' 'client/*.c' 'server/*.c')

# Each file says under which licence it is, in its first lines.
no_licence()
{
    local file
    for file in "${c_files[@]}" "${shell_files[@]}" "${other_files[@]}"; do
        sed -n 1,3p "$file" | grep 'SPDX-License-Identifier: Apache-2.0' >/dev/null || echo "$file"
    done
}
problem "no SPDX line at the top" < <(no_licence)
problem "white space at the end of a line" < <(grep -nE '[[:space:]]+$' "${text_files[@]}" | cut -c1-120)

# Written in pieces, so that this file does not find itself.
words='\bTO''DO\b|\bFIX''ME\b|\bXX''X\b|\bHA''CK\b|\bfor n''ow\b|\bst''ub(s|bed)?\b'
problem "unfinished work" < <(grep -nEi -- "$words" "${c_files[@]}" "${shell_files[@]}" "${other_files[@]}")
paths='(^|[^A-Za-z0-9_.$}])/(sr''v|wo''rk|ro''ot|ho''me)/'
problem "a path of somebody's machine" < <(grep -nE -- "$paths" "${text_files[@]}")

# "! command" cannot fail under "set -e": it is for conditions only.
problem "a bare '! command'; use fails" < <(grep -nE '^[[:space:]]*! ' "${shell_files[@]}")
problem "a fixed sleep (wait for the event, or say behind it what lasts so long)" < <(
    grep -nE '^[[:space:]]*sleep [1-9][0-9.]*$' "${test_scripts[@]}")
problem "ends processes by name" < <(grep -nE '\b(pk''ill|kill''all)\b' "${shell_files[@]}")

formatter=
for candidate in clang-format-14 clang-format; do
    if [ -z "$formatter" ] && command -v "$candidate" >/dev/null && "$candidate" --version | grep -q 'version 14'; then
        formatter=$candidate
    fi
done
if [ -z "$formatter" ]; then
    echo "lint: clang-format 14 is not installed (other versions format differently): not checked"
elif [ -n "$fix" ]; then
    "$formatter" -i "${c_files[@]}"
else
    unformatted()
    {
        local file
        for file in "${c_files[@]}"; do
            "$formatter" "$file" | cmp -s - "$file" || echo "$file"
        done
    }
    problem "not as clang-format 14 puts it (./dev lint --fix)" < <(unformatted)
fi

if command -v shellcheck >/dev/null; then
    mapfile -t sourced < <(grep -L '^#!' "${shell_files[@]}")
    mapfile -t scripts < <(grep -l '^#!' "${shell_files[@]}")
    problem "shellcheck" < <(shellcheck -x -S warning "${scripts[@]}"
        # What others source uses their variables, and sets some for them.
        [ "${#sourced[@]}" -eq 0 ] || shellcheck -x -S warning -s bash -e SC2154,SC2034 "${sourced[@]}")
else
    echo "lint: shellcheck is not installed: not checked"
fi

if command -v cppcheck >/dev/null; then
    # Not uninit...: it does not follow a loop's exit condition, and the compiler and valgrind look as well.
    problem "cppcheck" < <(cppcheck --quiet --enable=warning,portability --inline-suppr --std=c11 -j "$(nproc)" \
        -I include -I . --suppress=missingIncludeSystem --suppress=unknownMacro \
        --suppress=uninitvar --suppress=uninitdata --suppress=syntaxError --suppress=normalCheckLevelMaxBranches \
        "${product_files[@]}" 2>&1)
else
    echo "lint: cppcheck is not installed: not checked"
fi

if command -v python3 >/dev/null; then
    problem "not Python" < <(files '*.py' | python3 -c '
import ast, sys
for name in sys.stdin.read().split():
    ast.parse(open(name, encoding="utf-8").read(), name)' 2>&1)
fi

# Each library exports what the headers declare, and nothing else is exported or declared.
mapfile -t libraries < <(find "$build" -name 'libekmotp*.so' 2>/dev/null | sort)
if [ "${#libraries[@]}" -gt 0 ]; then
    declared=$(mktemp) exported=$(mktemp)
    trap 'rm -f "$declared" "$exported"' EXIT
    # A prototype: a name at the beginning of a declaration, not inside a comment or a typedef.
    cat include/ekmotp/*.h | sed 's#/\*.*\*/##' | sed '/\/\*/,/\*\//d' |
        grep -oE '\bekmotp_[a-z0-9_]+\(' | tr -d '(' | sort -u >"$declared"
    for library in "${libraries[@]}"; do
        nm -D --defined-only "$library" | awk '$2 ~ /[TDBR]/ { print $3 }' | sed 's/@.*//'
    done | sort >"$exported"
    problem "exported by two libraries" < <(uniq -d "$exported")
    problem "exported, but in no header" < <(comm -13 "$declared" <(sort -u "$exported"))
    problem "declared in a header, but exported by no library" < <(comm -23 "$declared" <(sort -u "$exported"))
else
    echo "lint: no build in $build: exported symbols not checked"
fi

long=$(wc -l "${c_files[@]}" "${shell_files[@]}" "${other_files[@]}" | awk '$1 > 400 && $2 != "total" { print "    " $1 " " $2 }')
[ -z "$long" ] || printf 'lint: files over 400 lines (each wants a reason):\n%s\n' "$long"

if [ "$problems" -gt 0 ]; then
    echo "lint: $problems kinds of problems"
    exit 1
fi
echo "lint: clean (${#c_files[@]} C files, ${#shell_files[@]} shell files)"
