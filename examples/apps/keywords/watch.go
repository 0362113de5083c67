package main

import (
	"fmt"
	"strings"
	"unicode"
)

// watch finds watched words and phrases, whole and in any case.
type watch struct {
	byFirst map[string][]phrase // by their first word, folded
}

// phrase is a watched word, or several that must follow each other.
type phrase struct {
	word  string   // as the settings have it
	parts []string // folded
}

// match is a watched word in a text.
type match struct {
	word       string
	start, end int // bytes of the text
}

func newWatch(words []string) (*watch, error) {
	w := &watch{byFirst: map[string][]phrase{}}
	for _, word := range words {
		p := phrase{word: word}
		for _, s := range split(word) {
			p.parts = append(p.parts, s.folded)
		}
		if len(p.parts) == 0 {
			return nil, fmt.Errorf("settings: %q in words has no letter or digit, so it can't be heard; take it out", word)
		}
		w.byFirst[p.parts[0]] = append(w.byFirst[p.parts[0]], p)
	}
	return w, nil
}

// find returns the first match of each watched word in text, in order.
func (w *watch) find(text string) []match {
	var ms []match
	seen := map[string]bool{}
	spoken := split(text)
	for i, s := range spoken {
		for _, p := range w.byFirst[s.folded] {
			if seen[p.word] || !follows(spoken[i:], p.parts) {
				continue
			}
			seen[p.word] = true
			ms = append(ms, match{word: p.word, start: s.start, end: spoken[i+len(p.parts)-1].end})
		}
	}
	return ms
}

// follows reports whether spoken begins with parts.
func follows(spoken []word, parts []string) bool {
	if len(spoken) < len(parts) {
		return false
	}
	for i, p := range parts {
		if spoken[i].folded != p {
			return false
		}
	}
	return true
}

// word is a run of letters, digits and their marks in a text.
type word struct {
	folded     string
	start, end int // bytes
}

// split returns the words of text. "budget's" is two of them, so that it
// contains "budget", and "budgets" is one that doesn't.
func split(text string) []word {
	var ws []word
	start := -1
	for i, r := range text {
		in := unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
		switch {
		case in && start < 0:
			start = i
		case !in && start >= 0:
			ws = append(ws, word{fold(text[start:i]), start, i})
			start = -1
		}
	}
	if start >= 0 {
		ws = append(ws, word{fold(text[start:]), start, len(text)})
	}
	return ws
}

// fold makes words that differ in case only the same. Lower case alone would
// keep the two Greek small sigmas apart.
func fold(s string) string { return strings.ToLower(strings.ToUpper(s)) }

// snippet returns up to limit characters of text around bytes start to end, on
// one line, with … where it was cut.
func snippet(text string, start, end, limit int) string {
	before, within, after := clean(text[:start]), clean(text[start:end]), clean(text[end:])
	room := limit - len(within)
	if room < 2 {
		return cut(string(within), limit)
	}
	if len(before)+len(after) <= room {
		return strings.TrimSpace(string(before) + string(within) + string(after))
	}
	// What one side leaves over, the other may have; each … costs one.
	left := min(len(before), max(room/2, room-len(after)))
	right := min(len(after), room-left)
	head, tail := string(before[len(before)-left:]), string(after[:right])
	if left < len(before) && left > 0 {
		head = "…" + string(before[len(before)-left+1:])
	}
	if right < len(after) && right > 0 {
		tail = string(after[:right-1]) + "…"
	}
	return head + string(within) + tail
}

// clean returns the characters of s with every run of spaces as one space.
func clean(s string) []rune {
	var out []rune
	for _, r := range s {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			if len(out) > 0 && out[len(out)-1] == ' ' {
				continue
			}
			r = ' '
		}
		out = append(out, r)
	}
	return out
}

// cut returns s in at most limit characters.
func cut(s string, limit int) string {
	if r := clean(s); len(r) > limit {
		return string(r[:limit-1]) + "…"
	} else {
		return string(r)
	}
}
