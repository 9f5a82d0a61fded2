# Sourced by the build scripts: one line a compiled file, the rest to a log.
# Usage: COMMAND 2>&1 | show_progress LABEL LOG
show_progress() {
  awk -v label="$1" -v log_file="$2" '{ print > log_file; fflush(log_file) }
    match($0, /^ *\[[0-9]+\/[0-9]+\]/) {
      count = substr($0, RSTART, RLENGTH); gsub(/[][ ]/, "", count)
      split(count, part, "/")
      printf "%s: compiled %s of %s files\n", label, part[1], part[2]; fflush()
    }'
}
