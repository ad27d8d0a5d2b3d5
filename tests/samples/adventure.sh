#!/usr/bin/env bash
# samples/adventure: a game to the win, the losing ends, odd commands, saved games.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
game=$root/samples/adventure
"$ATOLL" asm "$game/adventure.atoll" -o game.atb || exit 1
mkdir saves

# The whole game, word by word; transcript.txt is what it should say.
check adventure/walkthrough "$(cat "$game/transcript.txt")" \
  "$("$ATOLL" run game.atb <"$game/walkthrough.txt")"
check_contains adventure/full-score "You have 100 of 100 points" "$(cat "$game/transcript.txt")"

# play COMMANDS (a line each, or several with ";"): what the game says to the last line, in one line.
play() {
  printf '%s\n' "$@" quit | "$ATOLL" run --dir saves game.atb | awk '
    /^> quit$/ { exit } /^> / { said = ""; next } { said = said (said == "" || $0 == "" ? "" : " ") $0 }
    END { print said }'
}
# says NAME EXPECTED COMMANDS...
says() {
  local name=$1 expected=$2
  shift 2
  check "adventure/$name" "$expected" "$(play "$@")"
}
to_cistern="take lantern; n; n; e"

# --- The parser ----------------------------------------------------------------------------------
says unknown-word "I don't know the word \"frobnicate\"." "frobnicate lantern"
says no-verb "There is no verb in that sentence." "lantern"
says two-verbs "One thing at a time, please." "take drop lantern"
says no-thing "What do you want to take?" take
says what-word "What do you want to get?" get
says not-here "You can't see any coconut here." "take coconut"
says no-it "I don't know what \"it\" is." "take it"
says it "Dropped." "take lantern" "drop it"
says noise "Taken." "please take the old storm lamp!"
says particles "You carry nothing." "pick up the lantern" "put down lantern" i
says put-down "Dropped." "pick up lantern" "put it down"
says turn "The lantern is out." "take lamp" "turn it on" "turn off the lamp"
says switch "The lantern throws a yellow light." "take lamp" "switch lamp on"
says put-out "The lantern is out." "take lamp" "light lamp" "put out the lamp"
says turn-how "I don't understand that sentence." "take lamp" "turn lamp"
says go-where "I don't understand that sentence." "go"
says and-verb "Taken. Dropped." "take lantern and drop it"
says several "storm lantern: You don't have that. rowing boat: You don't have that." \
  "drop lantern and boat"
says all "storm lantern: Taken." "take all"
says all-but "There is nothing to do that with." "take all except the lantern"
says drop-all "storm lantern: Dropped. coconut: Dropped. You carry nothing." \
  "take lantern; n; n; take coconut" "drop all; i"
says from "Dropped. It is not there." "n; n; take coconut; s; s" "drop coconut; take coconut from boat"
says out-of "Taken." "take lantern out of the boat"
says things "That is too much at once." "take $(printf 'lantern key %.0s' {1..20})"
says empty "" "" "  " ".;,"
says no-way "There is no way in that direction." "up"
check_contains adventure/help "TAKE ALL BUT BUCKET" "$(play help)"
check adventure/long-line "I don't know the word" \
  "$(play "$(printf 'x%.0s' {1..100000})" | cut -c 1-21)"
check adventure/no-newline 1 "$(printf 'take lantern' | "$ATOLL" run game.atb | grep -c Taken)"
head -c 20000 "$ATOLL" | "$ATOLL" run game.atb >binary
check adventure/binary 0 $?
"$ATOLL" run game.atb </dev/null >nothing
check adventure/no-input 0 $?

# --- Things --------------------------------------------------------------------------------------
says fixed "That stays where it is." "take boat"
says have "You have that already." "take lantern" "take lantern"
says put "A tin bucket without a rope. In the bucket is a coconut." "n; n; take coconut; e; put coconut in bucket" "examine bucket"
says inside "You carry a bucket. In the bucket is a coconut." \
  "n; n; take coconut; e; put coconut in bucket; take bucket" i
says itself "Into itself?" "n; n; e; take bucket" "put bucket in bucket"
says no-container "That won't hold anything." "n; n; e; take bucket; w; take coconut" "put bucket in coconut"
says bucket-full "There is no more room." \
  "take lantern; n; e; take shell; w; n; take coconut; e" "put lantern in bucket; put shell in bucket" \
  "put coconut in bucket"
says hands "Your hands are full." \
  "take lantern; n; e; take shell; w; n; take coconut; e; take bucket; light lamp; d; take key; u; w; n; e" \
  "take can"
says where "Where do you want to put it?" "take lantern" "put lantern"
says eat "You carry nothing." "n; n; take coconut" "eat coconut" i
says not-eat "You would not enjoy it." "take lantern" "eat lantern"
says locked "It is locked." "n; n; n" "open door"
says closed "The door is closed." "n; n; n" n
says no-key "You have nothing that fits." "take lantern; n; n; n" "unlock door with lantern"
says no-key-at-all "You have nothing that fits." "n; n; n" "unlock door"
says no-lock "That has no lock." "unlock boat"
says key "Opened." "$to_cistern; light lamp; d; take key; u; w; n; unlock door with key; close door" "open door"
says spout "The can's spout is too wide for the lantern." "take lantern; n; n; n; e; take can" "fill lantern with oil"
says flame "The beacon's wicks need a flame. The lantern's flint won't reach them." \
  "$(sed '/matches/d; /^light beacon/d; /undo/,$d' "$game/walkthrough.txt")" "light beacon"

# --- Light, darkness and the losing ends ---------------------------------------------------------
dark="It is pitch dark, and there are holes in this place."
says dark "$dark" "$to_cistern" d
says dark-take "You can't see any brass key here." "$to_cistern; d" "take key"
says dark-lantern "The lantern throws a yellow light. Cistern A vaulted tank below the ground, empty but for a\
 puddle. Your steps echo. Rungs lead up to the daylight. There is a brass key here." "$to_cistern; d" "light lamp"
fallen="Something gives way under your foot. There was a hole. *** You have fallen. Nobody lights the beacon\
 tonight. *** You have 0 of 100 points after"
says fall "Time passes. $fallen 8 turns. Will you UNDO, RESTORE or QUIT?" "$to_cistern; d; z; z" z
says after-end "Will you UNDO, RESTORE or QUIT?" "$to_cistern; d; z; z" z n
says undo-end "Taken back. $dark" "$to_cistern; d; z; z" z undo
waits() { printf 'z;%.0s' $(seq "$1"); }
says lantern-low "Time passes. The lantern flickers: it has little oil left." \
  "take lantern; light it; $(waits 33)" z
says lantern-out "The wick glows and goes out: there is no oil left in it." "take lantern; light it; $(waits 44)" \
  "light lantern"
says dusk "Time passes. The sun touches the sea. The ferry must be on its way." "$(waits 119)" z
says wrecked "Time passes. Out at sea a row of lights comes straight towards the atoll, where no light is. You\
 hear the reef before you hear the horn. *** The ferry is lost. *** You have 0 of 100 points after 150 turns. Will\
 you UNDO, RESTORE or QUIT?" "$(waits 149)" z

# --- Undo ----------------------------------------------------------------------------------------
says undo "Taken back. Landing In the rowing boat is a storm lantern." "take lantern" undo
says undo-nothing "There is nothing to take back." undo
says undo-free "There is nothing to take back." i score "take nut" undo
says undo-many "There is nothing to take back." "$(waits 100)" "$(printf 'undo;%.0s' {1..64})" undo
says undo-score "You have 0 of 100 points after 6 turns." "$to_cistern; light lamp; d; take key; undo" score

# --- Saved games ---------------------------------------------------------------------------------
# A game that is saved half way, restored by another process and played on ends as the one in one go.
sed '/^drop key/,$d' "$game/walkthrough.txt" >first
sed -n '/^drop key/,$p' "$game/walkthrough.txt" >rest
(cat first; echo "save saves/Half.way") | "$ATOLL" run --dir saves game.atb >out
check_contains adventure/save "Saved as saves/Half.way." "$(cat out)"
check adventure/restore "$(sed -n '/^> drop key/,$p' "$game/transcript.txt")" \
  "$( (echo "restore saves/Half.way"; cat rest) | "$ATOLL" run --dir saves game.atb | sed -n '/^> drop key/,$p')"
(echo "restore saves/Half.way"; echo "save saves/again") | "$ATOLL" run --dir saves game.atb >out
cmp saves/Half.way saves/again && ok adventure/save/same || not_ok adventure/save/same "the files differ"
says restore-undo "Taken back. Landing In the rowing boat is a storm lantern." "restore saves/again" undo
says restore-end "You have 0 of 100 points after 0 turns." "save saves/start; $(waits 150)" \
  "restore saves/start" score

granted="There is no folder that I may use. Run the game with a folder granted: atoll run --dir FOLDER."
says save/not-granted "$granted" save
says restore/not-granted "$granted" restore
check adventure/no-folder-at-all 1 "$(echo save | "$ATOLL" run game.atb | grep -c "no folder")"
check adventure/save/read-only "I may not write there." \
  "$(echo save saves/x | "$ATOLL" run --dir-ro saves game.atb | grep may)"
says missing "There is no such file." "restore saves/nothing"

# damaged NAME: a file that is no saved game is refused, and the game goes on as it was.
damaged() {
  says "damaged/$1" "That is no saved game, or it is damaged. You carry a storm lantern." \
    "take lantern" "restore saves/damaged; i"
}
: >saves/damaged
damaged empty
head -c 50 saves/again >saves/damaged
damaged short
(cat saves/again; echo) >saves/damaged
damaged long
head -c 3000000 /dev/zero >saves/damaged
damaged zeros
for byte in 0 4 8 24 25 30 60 80 83; do
  python3 - "$byte" <<'END'
import sys
data = bytearray(open("saves/again", "rb").read())
data[int(sys.argv[1])] ^= 0x40
open("saves/damaged", "wb").write(data)
END
  damaged "byte-$byte"
done
# With a right checksum, but such as no game has: a room, an ending and places out of range, the lantern in
# itself, the boat in the bucket and the bucket in the boat, a thing in what holds nothing, far too many turns.
for change in 24=0 24=15 24=255 25=4 27=20 27=65 27=127 27=129 27=255 15=1 19=1 30=74,36=68 27=67; do
  python3 - "$change" <<'END'
import sys, zlib
data = bytearray(open("saves/again", "rb").read())
for part in sys.argv[1].split(","):
    at, value = map(int, part.split("="))
    data[at] = value
data[-4:] = zlib.crc32(bytes(data[:-4])).to_bytes(4, "little")
open("saves/damaged", "wb").write(data)
END
  damaged "forged-$change"
done
