package config

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// formatDuration writes d as an operator would: "2m" rather than "2m0s".
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// formatWhole writes n, and a large round one with an exponent.
func formatWhole(n int64) string {
	s := strconv.FormatInt(n, 10)
	if digits := strings.TrimRight(s, "0"); n >= 1e9 && len(s)-len(digits) >= 6 {
		return digits + "e" + strconv.Itoa(len(s)-len(digits))
	}
	return s
}

// units of sizes, largest first.
var sizeUnits = []struct {
	name  string
	bytes int64
}{{"GiB", gib}, {"MiB", mib}, {"KiB", kib}, {"B", 1}}

// formatSize writes a number of bytes with the largest unit that divides it.
func formatSize(n int64) string {
	for _, u := range sizeUnits {
		if n != 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return "0B"
}

// decimal is a number as files, the environment and flags write it. The
// exponent is bounded so that the number's digits are.
var decimal = regexp.MustCompile(`^[+-]?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?$`)

// whole reads text as a whole number: 32, 50e6, 5.0. It reports false for
// anything else. What an int64 can't hold comes out as the nearest it can.
func whole(text string) (int64, bool) {
	if !decimal.MatchString(text) {
		return 0, false
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok || !r.IsInt() {
		return 0, false
	}
	if n := r.Num(); !n.IsInt64() {
		if n.Sign() < 0 {
			return -1 << 63, true
		}
		return 1<<63 - 1, true
	}
	return r.Num().Int64(), true
}

// size reads text such as "32MiB", or a number of bytes. wrong says what is
// wrong with it, "" when nothing is.
func size(text string) (n int64, wrong string) {
	if n, ok := whole(text); ok {
		return n, ""
	}
	digits := strings.TrimRight(text, "BGKMTbgikmt")
	unit := text[len(digits):]
	for _, u := range sizeUnits {
		if !strings.EqualFold(unit, u.name) {
			continue
		}
		if unit != u.name {
			return 0, "the unit is written " + u.name
		}
		n, ok := whole(digits)
		if !ok {
			return 0, "it is not a whole number of " + u.name
		}
		const most = 1<<63 - 1
		switch {
		case n > most/u.bytes:
			return most, ""
		case n < -(most / u.bytes):
			return -most, ""
		}
		return n * u.bytes, ""
	}
	if unit != "" {
		return 0, "there is no unit " + short(unit)
	}
	return 0, "it is no size"
}
