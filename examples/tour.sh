#!/bin/sh
# A tour of chatdb in a temporary folder.  Usage: tour.sh DIRECTORY-OF-CHATDB
set -eu
PATH="$1:$PATH"
folder=$(mktemp -d "${TMPDIR:-/tmp}/chatdb-tour.XXXXXX")
cd "$folder"
trap 'chatdb server destroy --yes --quiet >/dev/null; cd /; rm -rf "$folder"' EXIT

say() { printf '\n# %s\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }

say 'Two migrations, each with an up file and a down file.'
mkdir -p sql/up sql/down
echo 'CREATE TABLE orders (id bigint PRIMARY KEY, total integer NOT NULL);' >sql/up/0001_orders.sql
echo 'DROP TABLE orders;' >sql/down/0001_orders.sql
echo 'CREATE INDEX orders_total_idx ON orders (total);' >sql/up/0002_orders_total.sql
echo 'DROP INDEX orders_total_idx;' >sql/down/0002_orders_total.sql

say 'Start a PostgreSQL for this folder, and apply both migrations.'
run chatdb setup
run chatdb migrate status

say 'A mistake: the file is rolled back, earlier migrations stay, and the error shows line and column.'
printf -- '-- totals are kept in minor units\nCREATE INDEX ON orders (id) WHERE totl > 0;\n' \
    >sql/up/0003_mistake.sql
echo 'SELECT 1;' >sql/down/0003_mistake.sql
run chatdb migrate up || echo "(exit code $?)"

say 'Correct the file, and apply it.'
printf -- '-- totals are kept in minor units\nCREATE INDEX orders_positive_idx ON orders (id) WHERE total > 0;\n' \
    >sql/up/0003_mistake.sql
echo 'DROP INDEX orders_positive_idx;' >sql/down/0003_mistake.sql
run chatdb migrate up

say 'What would rolling back the newest migration send?'
run chatdb migrate down --dry-run

say 'Roll it back, and look at the audit log.'
run chatdb migrate down
run chatdb migrate history
