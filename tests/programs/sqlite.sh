#!/usr/bin/env bash
# SQLite: its shell on real data and databases in files, and its own speedtest1, which prints a hash
# of all that it reads, as the native ones do.
source "$(dirname "$0")/common.sh"
debian_source sqlite3
mkdir -p "$place/amalgamation"
cd "$place/amalgamation" || exit 1
if [[ ! -e sqlite3.c || ! -e shell.c ]]; then
  command -v tclsh >/dev/null || leave "no tclsh to join SQLite's sources"
  must "configure sqlite" sh "$source/configure" --disable-tcl
  must "join sqlite's sources" make sqlite3.c shell.c
fi
flags=(-DSQLITE_OMIT_WAL -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_ENABLE_FTS5
  -DSQLITE_ENABLE_RTREE -DSQLITE_DEFAULT_UNIX_VFS='"unix-none"' -O1 -I.)
objects sqlite3 "${flags[@]}" sqlite3.c
both sqlite "${flags[@]}" shell.c "$place/sqlite3.o"
both speedtest1 "${flags[@]}" "$source/test/speedtest1.c" "$place/sqlite3.o"

cd "$scratch" || exit 1
cat >statements <<'END'
.mode csv
create table word(id integer primary key, text, length int);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000)
  insert into word select i, printf('%x-%d', i * 2654435761 % 4294967296, i), i % 17 from n;
create index by_length on word(length, text);
select length, count(*), min(text), max(text), sum(id), avg(id), group_concat(id % 3) from word
  where id % 7 = 3 group by length order by length;
select text, row_number() over (partition by length order by id desc) from word limit 40 offset 50;
create virtual table page using fts5(body);
insert into page select text || ' common ' || length from word;
select count(*) from page where page match 'common AND 5';
create virtual table box using rtree(id, x0, x1, y0, y1);
insert into box select id, id % 100, id % 100 + 3, id % 71, id % 71 + 2 from word;
select count(*), sum(id) from box where x0 >= 20 and x1 <= 40 and y0 > 30;
select json_group_array(json_object('id', id, 'text', text)) from word where id < 20;
begin; delete from word where id % 2; rollback;
update word set text = upper(text) where length = 4;
select hex(text), quote(id / 4.0), id * 0.1 from word where length = 4 limit 9;
pragma integrity_check;
select 1 / 0, abs(-9223372036854775807), 9223372036854775807 + 1, 1e308 * 10, typeof(1e400);
explain query plan select * from word where length = 3 and text > '5';
select * from nothing;
END
same sqlite/memory sqlite statements :memory:
# In a file, which the native one then reads.
run sqlite our.db <statements >ours 2>&1
"$place/sqlite" our.db .dump >theirs
run sqlite our.db .dump >ours
expect_same sqlite/file/dump theirs ours
check sqlite/file/integrity ok "$("$place/sqlite" our.db 'pragma integrity_check')"
# Without its figures of time; the last line is the hash.
"$place/speedtest1" --verify --size 3 native.db | sed -E 's/\.* +[0-9.]+s$//' >theirs
run speedtest1 --verify --size 3 translated.db | sed -E 's/\.* +[0-9.]+s$//' >ours
check sqlite/speedtest1 "$(sed 's/native.db/DB/' theirs)" "$(sed 's/translated.db/DB/' ours)"
check_contains sqlite/speedtest1/hash "Verification Hash" "$(cat ours)"
