# shellcheck shell=bash
# How the demos tell what they do, and count what was as promised. Sourced; sets checks and wrong.
checks=0
wrong=0

if [ -t 1 ]; then
  bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' dim=$'\e[2m' off=$'\e[0m'
else
  bold='' green='' red='' dim='' off=''
fi

chapter() { printf '\n%s%s%s\n' "$bold" "$*" "$off"; }

tell() { printf '  %s\n' "$@"; }

# Shows a command as one would type it, then runs it (or, with typed_as, what stands behind it).
typed() { typed_as "$*" "$@"; }

typed_as() { # SHOWN COMMAND...
  printf '  %s$ %s%s\n' "$dim" "$1" "$off"
  shift
  "$@" 2>&1 | sed 's/^/    /'
}

# expect WHAT WANTED GOT: one line that says what came, and whether that was promised.
expect() {
  checks=$((checks + 1))
  if [ "$2" = "$3" ]; then
    printf '  %-56s %-24s %sok%s\n' "$1" "$3" "$green" "$off"
  else
    wrong=$((wrong + 1))
    printf '  %-56s %-24s %sWRONG: %s was promised%s\n' "$1" "${3:-(nothing)}" "$red" "$2" "$off"
  fi
}

# Ends with 0 only if everything was as promised.
summary() {
  if [ "$wrong" -gt 0 ]; then
    printf '\n%s%d of %d checks were not as promised.%s\n' "$red" "$wrong" "$checks" "$off"
    exit 1
  fi
  printf '\n%sAll %d checks were as promised.%s\n' "$green" "$checks" "$off"
}
