#!/bin/sh
# Makes budget-meeting.wav and transcript.json from script.txt. Needs espeak-ng
# (1.51 made the files in the repository) and sox; nothing else here does.
# The times in the transcript are those of the synthesised lines, to the sample.
set -eu
cd "$(dirname "$0")"

rate=16000        # Hz, mono, signed 16-bit little-endian
tail=0.8          # seconds of quiet after the last line
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# samples FILE: the length of a raw s16le file in samples.
samples() { echo $(($(wc -c <"$1") / 2)); }

# quiet SECONDS: appends digital silence to the talk.
quiet() {
	sox -D -n -t raw -r $rate -c 1 -b 16 -e signed "$tmp/pause.raw" trim 0 "$1"
	cat "$tmp/pause.raw" >>"$tmp/talk.raw"
}

: >"$tmp/talk.raw"
: >"$tmp/segments"
n=0
while IFS='|' read -r who pause text; do
	case $who in '' | '#'*) continue ;; esac
	case $text in *[\"\\]*) echo "make.sh: no quotes or backslashes, please: $text" >&2; exit 1 ;; esac
	case $who in
	Ana) voice=en-gb+f3 pitch=72 speed=168 is_user=true ;;
	Ben) voice=en-us+m3 pitch=34 speed=160 is_user=false ;;
	*) echo "make.sh: no voice for $who" >&2; exit 1 ;;
	esac

	n=$((n + 1))
	quiet "$pause"
	espeak-ng -v "$voice" -p "$pitch" -s "$speed" -w "$tmp/line.wav" "$text"
	# To 16 kHz, with the synthesiser's silence before and after the line cut off.
	sox -D "$tmp/line.wav" -t raw -r $rate -c 1 -b 16 -e signed "$tmp/line.raw" \
		silence 1 0.01 0.2% reverse silence 1 0.01 0.2% reverse norm -6
	start=$(samples "$tmp/talk.raw")
	cat "$tmp/line.raw" >>"$tmp/talk.raw"
	end=$(samples "$tmp/talk.raw")
	awk -v n=$n -v who="$who" -v user=$is_user -v s="$start" -v e="$end" -v rate=$rate -v text="$text" 'BEGIN {
		printf "    {\"id\": \"line-%02d\", \"speaker\": \"%s\", \"is_user\": %s, \"start\": %.3f, \"end\": %.3f, \"text\": \"%s\"}\n",
			n, who, user, s / rate, e / rate, text
	}' >>"$tmp/segments"
done <script.txt
quiet $tail

# A little room noise, about -60 dBFS, so that the pauses sound like pauses.
seconds=$(awk -v n="$(samples "$tmp/talk.raw")" -v rate=$rate 'BEGIN { printf "%.6f", n / rate }')
sox -R -D -n -t raw -r $rate -c 1 -b 16 -e signed "$tmp/room.raw" synth "$seconds" pinknoise vol 0.004
raw="-t raw -r $rate -c 1 -b 16 -e signed"
# shellcheck disable=SC2086 # $raw is several arguments
sox -D -m -v 1 $raw "$tmp/talk.raw" -v 1 $raw "$tmp/room.raw" budget-meeting.wav

{
	echo '{'
	echo '  "language": "en",'
	echo '  "audio": "budget-meeting.wav",'
	echo '  "metadata": {"title": "Launch budget"},'
	echo '  "segments": ['
	sed '$!s/$/,/' "$tmp/segments"
	echo '  ]'
	echo '}'
} >transcript.json
