# Sourced by the other scripts: where the repository and its working directory are, and how to
# speak. Sets `repository` and `dev_dir`, exports FASTLOAD_DEV_DIR, changes to the repository.
# shellcheck shell=bash

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repository"

# Tools, virtual environment, logs and database state live here; git ignores the default.
dev_dir=${FASTLOAD_DEV_DIR:-.dev}
mkdir -p "$dev_dir"
dev_dir=$(cd "$dev_dir" && pwd)
export FASTLOAD_DEV_DIR=$dev_dir

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    say "$@"
    exit 1
}
