# Sourced by scripts/databases and scripts/install: what stands in for a Db2 server in the tests.
#
#   IBM's driver libdb2.so  ->  shim (tests/rig/drda_shim.py)  ->  Apache Derby's network server
#
# Two processes, `db2` (Derby) and `shim`. The driver comes from a package of ibm_db, whose checksum
# is verified; it stands below $FASTLOAD_DEV_DIR/db2 and is kept. docs/testing.md says where its
# licence lies.
# shellcheck shell=bash

db2_dir=$dev_dir/db2
db2_driver_version=3.3.0
db2_driver_sha256=85c16961dc98e13dbd58209f40e8e99cf383b7b7d8f57038aa84a59e1412ba21
db2_driver=$db2_dir/ibm_db-$db2_driver_version
db2_wide=$db2_driver/libdb2wide.so
derby_jars=/usr/share/java

# --- IBM's driver ----------------------------------------------------------------------------

# Downloads and unpacks the driver unless it is there. A file with another checksum is deleted, and
# nothing is taken from it.
db2_fetch() {
    [ ! -e "$db2_driver/complete" ] || return 0
    [ "$(uname -sm)" = "Linux x86_64" ] ||
        die "IBM's driver is fetched for Linux on x86_64 only, this is $(uname -sm)"
    local wheel=$db2_dir/ibm_db-$db2_driver_version.whl
    mkdir -p "$db2_dir"
    if [ ! -e "$wheel" ]; then
        say "downloading IBM's Db2 driver (ibm_db $db2_driver_version, 48 MB)"
        rm -rf "$db2_dir/download"
        db2_pip download --quiet --no-deps --only-binary=:all: --implementation cp \
            --python-version 3.11 --abi cp311 --platform manylinux_2_34_x86_64 \
            --dest "$db2_dir/download" "ibm_db==$db2_driver_version" ||
            die "ibm_db $db2_driver_version could not be downloaded"
        mv "$db2_dir"/download/ibm_db-*.whl "$wheel"
        rmdir "$db2_dir/download"
    fi
    if ! sha256sum --status --check <<<"$db2_driver_sha256  $wheel"; then
        say "checksum of ibm_db $db2_driver_version: $(sha256sum "$wheel" | cut -d' ' -f1)"
        rm -f "$wheel"
        die "it should be $db2_driver_sha256; the file is deleted"
    fi
    rm -rf "$db2_driver"
    # What a connection without TLS needs; two libraries are found beside the driver's directory.
    # db2cli.ini is not among it: settings come from the connection string.
    unzip -q "$wheel" 'clidriver/lib/libdb2.so' 'clidriver/msg/*' 'clidriver/conv/*' \
        'clidriver/cfg/*' 'clidriver/license/*' 'ibm_db.libs/libxml2*' 'ibm_db.libs/liblzma*' \
        -d "$db2_driver"
    ln -s libdb2.so "$db2_driver/clidriver/lib/libdb2.so.1"
    touch "$db2_driver/complete"
    rm -f "$wheel"
}

# The pip of scripts/install's environment; Debian's python3 has none.
db2_pip() {
    local python
    for python in "$dev_dir/venv/bin/python" python3; do
        if "$python" -m pip --version >/dev/null 2>&1; then
            "$python" -m pip --disable-pip-version-check "$@"
            return
        fi
    done
    die "there is no pip; run scripts/install test"
}

# The stand-in for the driver's build with 8-byte length words.
db2_compile_wide() {
    local source=$repository/tests/rig/wide_lengths.c lib=$db2_driver/clidriver/lib
    [ "$source" -nt "$db2_wide" ] || return 0
    cc -std=c11 -O2 -Wall -Wextra -Werror -shared -fPIC "$source" -o "$db2_wide.new" \
        -Wl,--no-as-needed -L"$lib" -l:libdb2.so.1 -ldl -Wl,--allow-shlib-undefined \
        -Wl,-rpath,"\$ORIGIN/clidriver/lib" || die "tests/rig/wide_lengths.c does not compile"
    mv "$db2_wide.new" "$db2_wide"
}

# --- Derby -----------------------------------------------------------------------------------

db2_java() {
    local java jar
    java=$(command -v java) || die "java is not installed; run scripts/install test"
    for jar in derby derbynet derbytools; do
        [ -e "$derby_jars/$jar.jar" ] ||
            die "Derby's $jar.jar is not installed; run scripts/install test"
    done
    echo "$java"
}

# Logins are checked, so that a wrong one is refused. Waits for locks are short, so that tests of
# locks are; a deadlock is looked for before a wait ends. Statistics are not made in the background,
# where they would take locks at any time. Durability is Derby's default: a commit is on the disk.
# There is no cache of statements: in 10.14 a statement that is prepared while another session's DDL
# empties the cache dies now and then of a NullPointerException (XJ001).
derby_properties() {
    cat <<'PROPERTIES'
derby.connection.requireAuthentication=true
derby.authentication.provider=BUILTIN
derby.user.fastload=only-for-tests
derby.user.fastload_reader=reader
derby.database.defaultConnectionMode=fullAccess
derby.database.readOnlyAccessUsers=fastload_reader
derby.locks.waitTimeout=5
derby.locks.deadlockTimeout=1
derby.storage.indexStats.auto=false
derby.language.statementCacheSize=0
PROPERTIES
}

db2_create() {
    local home java
    db2_fetch
    db2_compile_wide
    home=$(data_root)/db2
    [ ! -e "$home/complete" ] || return 0
    java=$(db2_java)
    unprivileged rm -rf "$home"
    unprivileged mkdir "$home"
    derby_properties | unprivileged tee "$home/derby.properties" >/dev/null
    unprivileged "$java" -cp "$derby_jars/derby.jar:$derby_jars/derbytools.jar" \
        -Dderby.system.home="$home" org.apache.derby.tools.ij >"$state/ij.log" 2>&1 <<'SQL'
CONNECT 'jdbc:derby:FASTLOAD;create=true;user=fastload;password=only-for-tests';
SQL
    if [ ! -e "$home/FASTLOAD/service.properties" ]; then
        tail -20 "$state/ij.log" >&2
        die "Derby's database could not be created"
    fi
    unprivileged touch "$home/complete"
}

db2_serve() {
    local home
    home=$(data_root)/db2
    echo $$ >"$(pid_file db2)"
    # Those of today, whenever the database was made.
    derby_properties | unprivileged tee "$home/derby.properties" >/dev/null
    exec_unprivileged "$(db2_java)" -Xmx512m -XX:ErrorFile="$home/crash.log" \
        -cp "$derby_jars/derby.jar:$derby_jars/derbynet.jar" -Dderby.system.home="$home" \
        org.apache.derby.drda.NetworkServerControl start -h 127.0.0.1 -p "$1" -noSecurityManager
}

db2_answers() { python3 "$repository/tests/rig/drda_shim.py" --probe "$(port_of db2)"; }

db2_prepare() { :; }

# --- the shim --------------------------------------------------------------------------------

# The servers' user cannot be expected to reach the checkout. A shim that runs is in front of a
# Derby that is there no more, or has another port.
shim_create() {
    local target
    target=$(data_root)/rig
    ! pid_of shim >/dev/null || stop_server shim
    rm -rf "$target"
    mkdir "$target"
    cp "$repository"/tests/rig/{drda_shim,drda,faults}.py "$target/"
    chmod -R a+rX "$target"
}

shim_serve() {
    local python=/usr/bin/python3 control
    [ -x "$python" ] || python=$(command -v python3)
    control=$(port_of shim-control || free_port)
    ! port_is_taken "$control" || control=$(free_port)
    echo "$control" >"$state/shim-control.port"
    echo $$ >"$(pid_file shim)"
    exec_unprivileged "$python" -B "$(data_root)/rig/drda_shim.py" --listen "$1" \
        --control "$control" --server "$(port_of db2)"
}

# Answers, and stands in front of today's Derby.
shim_answers() {
    local stats
    [ -s "$state/shim-control.port" ] || return 1
    stats=$(python3 "$repository/tests/rig/drda_shim.py" --tell "$(port_of shim-control)" stats) &&
        [[ $stats == *"\"server\": $(port_of db2)}" ]]
}

# Through everything at once: the driver, the stand-in, the shim, Derby, the login.
shim_prepare() {
    local answer
    answer=$(echo 'VALUES 6 * 7' | timeout 60 env DB2CODEPAGE=1208 DB2_MAX_CLIENT_CONNRETRIES=0 \
        isql -b -k "$(db2_connection "$db2_wide");" 2>&1) || true
    [[ $answer == *42* ]] || die "IBM's driver cannot ask Derby through the shim: $answer"
}

# --- what the tests are told -----------------------------------------------------------------

# A connection string for a driver's name or path.
db2_connection() {
    printf '%s' "Driver={$1};Database=FASTLOAD;Hostname=127.0.0.1;Port=$(port_of shim);" \
        "Protocol=TCPIP;Authentication=SERVER;ConnectTimeout=10;" \
        "UID=${2:-fastload};PWD=${3:-only-for-tests}"
}

# The driver reads the last two when it is loaded. The program sets them itself; tests that call the
# driver in their own process cannot.
db2_environment() {
    print_variable FASTLOAD_TEST_DB2_SERVER "127.0.0.1:$(port_of db2)"
    print_variable FASTLOAD_TEST_DB2_PID_FILE "$(pid_file db2)"
    print_variable DB2CODEPAGE 1208
    print_variable DB2_MAX_CLIENT_CONNRETRIES 0
}

shim_environment() {
    print_variable FASTLOAD_TEST_DB2 "$(db2_connection Db2)"
    print_variable FASTLOAD_TEST_DB2_WIDE "$(db2_connection "Db2 with wide lengths")"
    print_variable FASTLOAD_TEST_DB2_READER "$(db2_connection Db2 fastload_reader reader)"
    print_variable FASTLOAD_TEST_DB2_CONTROL "127.0.0.1:$(port_of shim-control)"
}
