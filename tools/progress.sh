# Sourced by the build scripts: print one line per compiled file, the rest to a log.
# Usage: COMMAND 2>&1 | show_progress LABEL LOG
show_progress() {
  awk -v label="$1" -v log_file="$2" '{ print > log_file; fflush(log_file) }
    match($0, /^ *\[[0-9]+\/[0-9]+\]/) {
      count = substr($0, RSTART, RLENGTH); gsub(/[][ ]/, "", count)
      split(count, part, "/")
      printf "%s: compiled %s of %s files\n", label, part[1], part[2]; fflush()
    }'
}

# Print one line per package that pip fetches, the rest to a log.
# Usage: pip install ... 2>&1 | show_packages TOTAL LOG
show_packages() {
  awk -v total="$1" -v log_file="$2" '{ print > log_file; fflush(log_file) }
    /^Processing / { sub(/.*\//, "", $2) }
    /^(Collecting|Processing|Requirement already satisfied:) / {
      name = ($1 == "Requirement") ? $4 : $2
      printf "package %d of %d: %s\n", ++count, total, name; fflush()
    }
    /^(Building|Installing collected|ERROR)/ { print substr($0, 1, 79); fflush() }'
}
